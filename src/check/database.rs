//! Compares PostgreSQL with the log: each item's outcome, orders with their items, items with the rows they name.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use sqlx::{PgPool, Row};

use super::decode::{Event, fingerprint, order_item};
use super::report::{Breach, Check, Findings};
use crate::log::Record;

/// Ids queried at once.
const LOOKUP: usize = 5000;

/// The compared columns of one row of `order_items`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ItemColumns {
    /// Fingerprint of product and quantity.
    wants: u64,
    /// Allocated, shortfall, fingerprint of the event's id.
    outcome: Option<(i64, i64, u64)>,
    direct: bool,
    seen: bool,
}

/// A snapshot of the orders, to be compared with the log.
#[derive(Debug, Default)]
pub struct DatabaseSnapshot {
    /// By fingerprint of `order_item_id`: 10 million rows are under a gigabyte.
    items: HashMap<u64, ItemColumns>,
    /// Last record of `inventory-events` that was booked, per partition.
    booked: HashMap<i32, i64>,
    /// Items that the log names and the snapshot lacks: newer than the snapshot, or phantoms.
    unknown: HashMap<String, String>,
    breaches: Vec<Breach>,
    allocated: i64,
    /// Orders whose status was set by another program.
    others_status: i64,
    /// Id of the last item read.
    read_to: String,
}

/// A server that does not answer is reported as an error instead of being waited for.
async fn within<T>(patience: Duration, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let silent = || std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {patience:?}"));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err(silent().into()))
}

impl DatabaseSnapshot {
    /// Reads everything in one snapshot.
    pub async fn snapshot(pool: &PgPool, patience: Duration) -> Result<Self, sqlx::Error> {
        let mut database = Self::default();
        let mut transaction = within(patience, pool.begin()).await?;
        let isolate = sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
        within(patience, isolate.execute(&mut *transaction)).await?;
        let booked = sqlx::query("SELECT partition, record_offset FROM order_tracker_positions");
        for row in within(patience, booked.fetch_all(&mut *transaction)).await? {
            database.booked.insert(row.try_get(0)?, row.try_get(1)?);
        }
        while let Some(after) = within(patience, database.read_items(&mut transaction)).await? {
            database.read_to = after;
        }
        within(patience, database.judge_orders(&mut transaction)).await?;
        within(patience, transaction.commit()).await?;
        Ok(database)
    }

    /// Reads the next items; returns the last id, or `None` at the end.
    async fn read_items(&mut self, connection: &mut sqlx::PgConnection) -> Result<Option<String>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT order_item_id, product_id, quantity::bigint, publish_via, allocated, shortfall, outcome_event_id
             FROM order_items WHERE publish_via <> 'history' AND order_item_id > $1 ORDER BY order_item_id LIMIT 50000",
        )
        .bind(&self.read_to)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            let (id, product): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let (quantity, via): (i64, String) = (row.try_get(2)?, row.try_get(3)?);
            let (allocated, shortfall): (Option<i64>, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
            let event: Option<String> = row.try_get(6)?;
            self.allocated += allocated.unwrap_or(0);
            let outcome =
                allocated.map(|units| (units, shortfall.unwrap_or(-1), fingerprint(&event.as_deref().unwrap_or_default())));
            let item =
                ItemColumns { wants: fingerprint(&(product.as_str(), quantity)), outcome, direct: via == "direct", seen: false };
            self.items.insert(fingerprint(&id.as_str()), item);
        }
        rows.last().map(|last| last.try_get(0)).transpose()
    }

    async fn judge_orders(&mut self, connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
        let wrong = sqlx::query(
            "SELECT order_id, status, due FROM (
               SELECT o.order_id, o.status,
                      CASE WHEN count(*) FILTER (WHERE i.allocated IS NULL) > 0 THEN 'PENDING'
                           WHEN sum(i.allocated) = 0 THEN 'REJECTED'
                           WHEN sum(i.allocated) = sum(i.quantity) THEN 'CONFIRMED'
                           ELSE 'BACKORDERED' END AS due
               FROM orders o JOIN order_items i USING (order_id)
               WHERE i.publish_via <> 'history' GROUP BY o.order_id, o.status) judged
             WHERE coalesce(status, 'none') IN ('none', 'PENDING', 'CONFIRMED', 'BACKORDERED', 'REJECTED')
               AND status IS DISTINCT FROM due LIMIT 1000",
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in wrong {
            let (order, due): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            let status: Option<String> = row.try_get(1)?;
            let found = status.unwrap_or_else(|| "none".to_owned());
            self.breaches.push(Breach::new(Check::DatabaseSettled, "orders", due, found).of_order(&order));
        }
        // A status that this program never writes, such as SHIPPED, was set by another program: there is nothing to compare.
        let others = "SELECT count(*) FROM orders WHERE status NOT IN ('PENDING', 'CONFIRMED', 'BACKORDERED', 'REJECTED')";
        self.others_status = sqlx::query_scalar(others).fetch_one(&mut *connection).await?;
        let keys = sqlx::query(
            "SELECT k.order_id, count(*), bool_and(o.order_id IS NOT NULL)
             FROM idempotency_keys k LEFT JOIN orders o USING (order_id)
             GROUP BY k.order_id HAVING count(*) > 1 OR NOT bool_and(o.order_id IS NOT NULL) LIMIT 1000",
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in keys {
            let (order, count, there): (String, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let found = if there { format!("{count} keys") } else { "no such order".to_owned() };
            self.breaches
                .push(Breach::new(Check::OneOrderPerKey, "idempotency_keys", "one key, one order", found).of_order(&order));
        }
        Ok(())
    }

    /// Compares a record of `order-events` with the row that it names.
    pub fn order_event(&mut self, record: &Record) {
        let Some(item) = record.value.as_ref().and_then(|value| order_item(value)).filter(|item| !item.probe) else { return };
        let Some(id) = item.order_item_id else { return };
        let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        match self.items.get(&fingerprint(&id.as_str())) {
            Some(row) if row.wants == fingerprint(&(item.product_id.as_str(), item.quantity)) => {}
            Some(_) => {
                let breach = Breach::new(Check::NoPhantomItem, position, "product and quantity of the row", "other values");
                self.breaches.push(breach.of_product(&item.product_id).of_order(&item.order_id));
            }
            None => {
                self.unknown.insert(id, position);
            }
        }
    }

    /// Compares an event with the outcome in its row.
    pub fn event(&mut self, event: &Event, record: &Record, position: &str, report: &mut Findings) {
        let outcome_kind = event.order_id.is_some() && event.event_type != "ORDER_EXPIRED";
        let Some(id) = event.order_item_id.as_deref().filter(|_| outcome_kind) else { return };
        let Some(item) = self.items.get_mut(&fingerprint(&id)) else { return };
        let due = (event.allocated.unwrap_or(-1), event.shortfall.unwrap_or(-1));
        if item.seen {
            report.breach(Breach::new(Check::OneOutcome, position, "one outcome of the item", "a second").of_order(id));
            return;
        }
        item.seen = true;
        let booked = self.booked.get(&record.partition).is_some_and(|last| record.offset <= *last);
        match item.outcome {
            Some((allocated, shortfall, by)) => {
                let event_id = event.event_id.as_deref().unwrap_or_default();
                if (allocated, shortfall) != due || by != fingerprint(&event_id) {
                    let found = format!("{allocated} allocated, {shortfall} short");
                    let expected = format!("{} allocated, {} short, by {event_id}", due.0, due.1);
                    report.breach(Breach::new(Check::DatabaseOutcome, position, expected, found).of_order(id));
                }
            }
            None if booked => {
                let expected = format!("{} allocated, {} short", due.0, due.1);
                report.breach(Breach::new(Check::DatabaseOutcome, position, expected, "no outcome").of_order(id));
            }
            None => {}
        }
    }

    /// What is left: outcomes without an event, and items without a row.
    pub async fn finish(self, pool: &PgPool, report: &mut Findings) -> Result<(), sqlx::Error> {
        for breach in self.breaches {
            report.breach(breach);
        }
        report.count("items in PostgreSQL", i64::try_from(self.items.len()).unwrap_or(i64::MAX));
        report.count("units allocated in PostgreSQL", self.allocated);
        if self.others_status > 0 {
            report.count("orders with a status of others", self.others_status);
        }
        for item in self.items.values().filter(|item| !item.seen) {
            match item.outcome {
                Some((allocated, ..)) => {
                    report.breach(Breach::new(
                        Check::DatabaseOutcome,
                        "order_items",
                        "an event on the log",
                        format!("none for {allocated} units"),
                    ));
                }
                None => report.count(if item.direct { "items waiting, direct" } else { "items waiting, wal" }, 1),
            }
        }
        let unknown: Vec<_> = self.unknown.into_iter().collect();
        for chunk in unknown.chunks(LOOKUP) {
            let ids: Vec<_> = chunk.iter().map(|(id, _)| id.clone()).collect();
            let rows = sqlx::query("SELECT order_item_id FROM order_items WHERE order_item_id = ANY($1)")
                .bind(&ids)
                .fetch_all(pool)
                .await?;
            let there =
                rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<std::collections::HashSet<_>, _>>()?;
            for (id, position) in chunk.iter().filter(|(id, _)| !there.contains(id)) {
                report.breach(Breach::new(Check::NoPhantomItem, position, "a row of order_items", "none").of_order(id));
            }
        }
        Ok(())
    }
}
