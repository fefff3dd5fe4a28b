//! Where the reader raises an alarm instead of guessing, and how the gap of a lost slot is closed.

use kartshoppe::sources::wal::{Alarm, Begun, ReadError, RepairError, Step, Steps, WalConfig, repair, repair_in_steps, status};

use super::support::log::append;
use super::support::wal::WalShop;
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    a_lost_slot_is_an_alarm_and_its_repair_closes_the_gap,
    a_repair_interrupted_at_any_step_can_be_run_again,
    a_reader_after_an_interrupted_repair_raises_an_alarm_or_starts_over,
    an_altered_publication_is_an_alarm_until_the_slot_is_repaired,
    a_position_that_does_not_fit_the_server_is_an_alarm,
    the_missing_permissions_of_a_credential_are_named,
);

/// Restores the publication as the migration made it.
const PUBLICATION: &str = "CREATE PUBLICATION kartshoppe_order_items
    FOR TABLE order_items (order_item_id, publish_via, order_id, product_id, quantity, traceparent)
    WHERE (publish_via = 'wal') WITH (publish = 'insert,update')";

async fn a_lost_slot_is_an_alarm_and_its_repair_closes_the_gap(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 5).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;
    shop.drop_slot().await;
    ids.extend(shop.orders("gap", 5).await);
    // Settled without an event that we could read: it need not be published.
    shop.order(&["settled".to_owned()]).await;
    shop.sql(
        "UPDATE order_items SET outcome = 'ALLOCATED', allocated = 1, shortfall = 0, outcome_event_id = 'e', settled_at = now()
         WHERE order_item_id = 'settled'",
    )
    .await;
    let reader = shop.reader().await;
    reader.alarms("kartshoppe cdc repair-slot").await;
    assert!(!reader.wal.report().is_ready());
    let found = status(&shop.config, Ok(&*shop.log)).await.unwrap();
    assert!(found.alarm.unwrap().contains("is gone") && !found.exists && found.waiting_items == 10);
    let Begun { published, .. } = shop.repair().await.unwrap();
    assert_eq!(published, 5, "those of the gap alone");
    reader.streams().await;
    ids.extend(shop.orders("two", 5).await);
    shop.await_exactly(&ids).await;
    let refused = repair(&shop.config, &*shop.log).await.unwrap_err();
    assert!(matches!(refused, RepairError::InUse { .. }), "{refused}");
    shop.end([reader]).await;
}

/// Ends the work at one step, like a killed process.
struct EndAt(Step);

impl Steps for EndAt {
    async fn at(&self, step: Step) -> Result<(), ReadError> {
        if step == self.0 { Err(Alarm::StandBy.into()) } else { Ok(()) }
    }
}

async fn a_repair_interrupted_at_any_step_can_be_run_again(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 2).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;
    for step in [Step::Fenced, Step::SlotMade, Step::SnapshotRead, Step::Begun] {
        shop.drop_slot().await;
        ids.extend(shop.orders(&format!("gap-{step:?}"), 2).await);
        repair_in_steps(&shop.config, &*shop.log, &EndAt(step)).await.unwrap_err();
        ids.extend(shop.orders(&format!("more-{step:?}"), 2).await);
        shop.repair().await.unwrap();
        let reader = shop.reader().await;
        shop.await_exactly(&ids).await;
        reader.stop().await;
    }
    shop.end([]).await;
}

async fn a_reader_after_an_interrupted_repair_raises_an_alarm_or_starts_over(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 2).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;
    shop.drop_slot().await;
    ids.extend(shop.orders("gap", 2).await);
    repair_in_steps(&shop.config, &*shop.log, &EndAt(Step::SlotMade)).await.unwrap_err();
    let reader = shop.reader().await;
    reader.alarms("beyond the stored position").await;
    shop.repair().await.unwrap();
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

async fn an_altered_publication_is_an_alarm_until_the_slot_is_repaired(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 3).await;
    shop.await_exactly(&ids).await;
    shop.sql("ALTER PUBLICATION kartshoppe_order_items SET (publish = 'update')").await;
    reader.alarms("inserts and updates").await;
    ids.extend(shop.orders("unseen", 3).await);
    shop.sql("ALTER PUBLICATION kartshoppe_order_items SET (publish = 'insert,update')").await;
    reader.alarms("not repaired yet").await;
    // Also for a process that never saw the alarm.
    reader.stop().await;
    let reader = shop.reader().await;
    reader.alarms("not repaired yet").await;
    shop.repair().await.unwrap();
    shop.await_exactly(&ids).await;

    shop.sql("DROP PUBLICATION kartshoppe_order_items").await;
    reader.alarms("is missing").await;
    let refused = shop.repair().await.unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");
    ids.extend(shop.orders("unseen-too", 3).await);
    shop.sql(PUBLICATION).await;
    shop.repair().await.unwrap();
    reader.streams().await;

    shop.sql("ALTER TABLE order_items REPLICA IDENTITY FULL").await;
    reader.alarms("REPLICA IDENTITY USING INDEX").await;
    shop.sql("ALTER TABLE order_items REPLICA IDENTITY USING INDEX order_items_identity").await;
    shop.repair().await.unwrap();
    reader.streams().await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

async fn a_position_that_does_not_fit_the_server_is_an_alarm(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 3).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;
    let sound = shop.position().await.unwrap();
    let store = async |change: &dyn Fn(&mut kartshoppe::wire::topics::cdc_position::CdcPosition)| {
        let mut position = sound.clone();
        change(&mut position);
        append(&*shop.log, vec![position.record(&shop.config.slot)]).await;
    };
    let reader = shop.idle_reader(shop.config.clone(), shop.log()).await;
    store(&|position| position.system_id = "1".to_owned()).await;
    reader.start().await;
    reader.alarms("is of server 1 on timeline").await;
    store(&|position| position.timeline += 1).await;
    reader.alarms(&format!("on timeline {}, but this", sound.timeline + 1)).await;
    store(&|position| position.resume_lsn.0 = 1).await;
    reader.alarms("beyond the stored position 0/1").await;
    store(&|position| position.resume_lsn.0 = u64::MAX / 2).await;
    reader.alarms("beyond the server's WAL").await;
    ids.extend(shop.orders("two", 3).await);
    store(&|_| ()).await;
    reader.streams().await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

async fn the_missing_permissions_of_a_credential_are_named(place: Place) {
    let shop = WalShop::open(&place).await;
    let wrong = shop.config.url.replace("kartshoppe_cdc:", "kartshoppe_cdc:not");
    let reader = shop.reader_with(WalConfig { url: wrong, ..shop.config.clone() }, shop.log()).await;
    reader.alarms("refuses the WAL reader's credentials").await;
    reader.stop().await;
    let without = WalConfig { url: shop.database.url.clone(), ..shop.config.clone() };
    let reader = shop.reader_with(without, shop.log()).await;
    reader.alarms("ALTER ROLE kartshoppe REPLICATION").await;
    reader.stop().await;
    shop.sql("REVOKE SELECT ON order_items FROM kartshoppe_cdc").await;
    let reader = shop.reader().await;
    reader.alarms("GRANT SELECT ON order_items TO kartshoppe_cdc").await;
    let ids = shop.orders("waiting", 3).await;
    shop.sql("GRANT SELECT ON order_items TO kartshoppe_cdc").await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}
