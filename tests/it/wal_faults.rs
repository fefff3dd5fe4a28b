//! Each row is published exactly once, however and whenever the reader ends.

use std::sync::Arc;
use std::time::Duration;

use kartshoppe::actors::faults::Fault;
use kartshoppe::log::LogError;
use kartshoppe::sources::wal::{Phase, Step};

use super::support::gated_log::GatedLog;
use super::support::log::within;
use super::support::wal::{Reader, WalShop};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    struck_at_every_step_by_every_fault_while_rows_flow,
    an_interrupted_first_start_starts_over_without_duplicates,
    a_cut_connection_is_resumed_without_gap_or_duplicate,
    a_reader_that_froze_at_its_commit_writes_no_more_once_another_took_over,
);

/// Orders that are inserted until stopped; returns their ids.
async fn flow(shop: Arc<WalShop>, mut stop: tokio::sync::watch::Receiver<bool>) -> Vec<String> {
    let mut ids = Vec::new();
    while !*stop.borrow_and_update() {
        ids.extend(shop.orders(&format!("f{}", ids.len()), 3).await);
    }
    ids
}

async fn struck(reader: &Reader, step: Step, fault: Fault) {
    let lives = reader.lives();
    reader.strike(step.target(), fault);
    within(async {
        while reader.faults.is_armed() || reader.lives() == lives {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    reader.streams().await;
}

async fn struck_at_every_step_by_every_fault_while_rows_flow(place: Place) {
    let shop = Arc::new(WalShop::open(&place).await);
    let reader = shop.reader().await;
    reader.streams().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flowing = tokio::spawn(flow(shop.clone(), stopped));
    for fault in [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang] {
        for step in [Step::Committing, Step::Committed] {
            struck(&reader, step, fault).await;
        }
        for step in [Step::Looked, Step::Fenced, Step::Checked, Step::Streaming] {
            // Only a new incarnation passes through these.
            reader.strike(step.target(), fault);
            shop.cut().await;
            within(async {
                while reader.faults.is_armed() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
        }
    }
    reader.streams().await;
    stop.send_replace(true);
    let ids = flowing.await.unwrap();
    assert!(!ids.is_empty());
    shop.await_exactly(&ids).await;
    assert!(reader.lives() > 24, "{}", reader.lives());
    Arc::into_inner(shop).unwrap().end([reader]).await;
}

async fn an_interrupted_first_start_starts_over_without_duplicates(place: Place) {
    for step in [Step::SlotMade, Step::SnapshotRead, Step::Begun] {
        for fault in [Fault::Kill, Fault::Panic, Fault::Error] {
            let place = place.another();
            let shop = WalShop::open(&place).await;
            let mut ids = shop.orders("before", 3).await;
            let reader = shop.idle_reader(shop.config.clone(), shop.log()).await;
            reader.strike(step.target(), fault);
            reader.start().await;
            ids.extend(shop.orders("during", 3).await);
            reader.streams().await;
            assert_eq!((reader.lives(), reader.faults.is_armed()), (2, false), "{step:?} {fault:?}");
            ids.extend(shop.orders("after", 3).await);
            shop.await_exactly(&ids).await;
            shop.end([reader]).await;
        }
    }
}

async fn a_cut_connection_is_resumed_without_gap_or_duplicate(place: Place) {
    let shop = Arc::new(WalShop::open(&place).await);
    let reader = shop.reader().await;
    reader.streams().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flowing = tokio::spawn(flow(shop.clone(), stopped));
    for _ in 0..10 {
        let lives = reader.lives();
        shop.cut().await;
        within(async {
            while reader.lives() == lives {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        reader.streams().await;
    }
    stop.send_replace(true);
    let ids = flowing.await.unwrap();
    shop.await_exactly(&ids).await;
    Arc::into_inner(shop).unwrap().end([reader]).await;
}

async fn a_reader_that_froze_at_its_commit_writes_no_more_once_another_took_over(place: Place) {
    let shop = WalShop::open(&place).await;
    let gated = GatedLog::over(shop.log());
    let frozen = shop.reader_with(shop.config.clone(), gated.clone()).await;
    frozen.streams().await;
    let mut ids = shop.orders("well", 3).await;
    shop.await_exactly(&ids).await;
    gated.commits.close();
    ids.extend(shop.orders("frozen", 3).await);
    let second = shop.reader().await;
    second.reports(|report| matches!(report.phase, Phase::WaitingForSlot { .. })).await;
    frozen.stop().await;
    second.streams().await;
    shop.await_exactly(&ids).await;
    gated.commits.open();
    within(async {
        while !gated.results().iter().any(|late| matches!(late, Err(LogError::Fenced { .. }))) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    ids.extend(shop.orders("after", 3).await);
    shop.await_exactly(&ids).await;
    shop.end([second]).await;
}
