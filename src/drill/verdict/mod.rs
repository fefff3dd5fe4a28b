//! The verdict: compares promises and observations with SQL, the read model and the pages.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::Drill;
use super::database::PlacedItem;
use super::pages::Gallery;
use super::plan::Plan;
use super::record::{Breach, CheckoutAnswer, DrillRecord, Purchase};
use super::report::DrillReport;
use super::shoppers::Crowd;
use super::storefront::Said;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until every checkout is answered, every item has its outcome, and shop and pages show the remaining stock.
///
/// # Errors
/// What it still waits for at the end.
pub async fn settle(drill: &Drill<'_>, crowd: &Crowd, gallery: &Gallery, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    loop {
        let waits = match waits_for(drill, crowd, gallery).await {
            Ok(None) => return Ok(()),
            Ok(Some(waits)) => waits,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            return Err(waits);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn waits_for(drill: &Drill<'_>, crowd: &Crowd, gallery: &Gallery) -> anyhow::Result<Option<String>> {
    let unclear = crowd.ask_again().await;
    if unclear > 0 {
        return Ok(Some(format!("{unclear} checkouts without an answer")));
    }
    let open = drill.database.open_items().await?;
    if open > 0 {
        return Ok(Some(format!("{open} items without an outcome")));
    }
    let expected = left_over(&drill.record, &drill.database.rows().await?);
    let shown = shelves(drill).await?;
    if let Some((product, stock)) = expected.iter().find(|(product, stock)| shown.get(*product) != Some(stock)) {
        return Ok(Some(format!("{product}: {stock} should be left, the shop shows {:?}", shown.get(product))));
    }
    if let Some(product) = Plan::retired().into_iter().find(|product| shown.contains_key(product)) {
        return Ok(Some(format!("{product} was removed, the shop shows it")));
    }
    Ok(gallery.differences(&shown).into_iter().next())
}

/// Judges everything that the drill has recorded, and adds the figures to the report.
///
/// # Errors
/// If SQL or the read model cannot be read.
pub async fn judge(drill: &Drill<'_>, gallery: &Gallery, report: &mut DrillReport) -> anyhow::Result<()> {
    let record = &drill.record;
    let (rows, shown) = (drill.database.rows().await?, shelves(drill).await?);
    let purchases = record.purchases();
    judge_orders(record, &purchases, &rows);
    judge_items(record, &rows);
    judge_shelves(record, &left_over(record, &rows), &shown);
    judge_retired(record, &shown);
    for difference in gallery.differences(&shown) {
        record.breach(Breach::PageDiffers, difference);
    }
    report.orders = count(purchases.iter().filter(|purchase| matches!(purchase.answer, CheckoutAnswer::Promised(_))));
    report.by_wal = count(purchases.iter().filter(|purchase| purchase.by_wal));
    report.items = count(rows.iter().filter(|row| row.product_id.is_some()));
    report.units = rows.iter().filter_map(|row| row.allocated).sum();
    report.frames = record.frames();
    report.told = record.notified();
    report.answers = record.answers();
    report.take_breaches(record.breaches());
    Ok(())
}

/// Each promise is kept once, and nothing exists that was not promised.
fn judge_orders(record: &DrillRecord, purchases: &[Purchase], rows: &[PlacedItem]) {
    let mut found: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, i64>>> = BTreeMap::new();
    for row in rows {
        let lines = found.entry(&row.customer_id).or_default().entry(&row.order_id).or_default();
        if let (Some(product), Some(quantity)) = (&row.product_id, row.quantity) {
            *lines.entry(product).or_default() += quantity;
        }
    }
    for purchase in purchases {
        let user = &purchase.user;
        let orders = found.remove(user.as_str()).unwrap_or_default();
        match &purchase.answer {
            CheckoutAnswer::Promised(order) => match orders.get(order.as_str()) {
                None => record.breach(Breach::Lost, format!("order {order} of {user} was promised but does not exist")),
                Some(lines) if !same(lines, &purchase.lines) => {
                    record.breach(Breach::Altered, format!("order {order} of {user} holds other items than requested"));
                }
                Some(_) => {}
            },
            // Nothing was promised; if there is an order all the same, it must be a single one, as requested.
            CheckoutAnswer::Unclear => {}
            CheckoutAnswer::Refused(code) => {
                for order in orders.keys() {
                    record.breach(Breach::Phantom, format!("order {order} of {user} was refused ({code}) but exists"));
                }
            }
        }
        if orders.len() > 1 {
            let ids: Vec<&str> = orders.keys().copied().collect();
            record.breach(Breach::Doubled, format!("{user} requested one order and has {}", ids.join(", ")));
        }
    }
    for (user, orders) in found {
        for order in orders.keys() {
            record.breach(Breach::Phantom, format!("order {order} of {user} was never requested"));
        }
    }
}

fn same(rows: &BTreeMap<&str, i64>, lines: &BTreeMap<String, i64>) -> bool {
    rows.len() == lines.len() && lines.iter().all(|(product, quantity)| rows.get(product.as_str()) == Some(quantity))
}

/// Each item has one outcome, which adds up to what was ordered.
fn judge_items(record: &DrillRecord, rows: &[PlacedItem]) {
    for row in rows {
        let (Some(product), Some(quantity)) = (&row.product_id, row.quantity) else { continue };
        let name = || format!("{product} of order {}", row.order_id);
        match (&row.outcome, row.allocated, row.shortfall) {
            (Some(outcome), Some(allocated), Some(shortfall)) => {
                let fits = match outcome.as_str() {
                    "ALLOCATED" => allocated == quantity && shortfall == 0,
                    "SHORT" => allocated >= 0 && shortfall > 0 && allocated + shortfall == quantity,
                    _ => false,
                };
                if !fits {
                    let what = format!("{}: {quantity} ordered, {outcome} with {allocated} and {shortfall} missing", name());
                    record.breach(Breach::Altered, what);
                }
            }
            (None, ..) => record.breach(Breach::Unsettled, name()),
            (Some(outcome), ..) => record.breach(Breach::Altered, format!("{}: {outcome} without figures", name())),
        }
    }
}

/// Products that were removed for good are not shown.
fn judge_retired(record: &DrillRecord, shown: &BTreeMap<String, i64>) {
    for product in Plan::retired().iter().filter(|product| shown.contains_key(*product)) {
        record.breach(Breach::CameBack, format!("{product} was removed at the beginning but is shown"));
    }
}

/// The units that were not allocated are still in stock.
fn judge_shelves(record: &DrillRecord, left_over: &BTreeMap<String, i64>, shown: &BTreeMap<String, i64>) {
    for (product, expected) in left_over {
        let found = shown.get(product).copied().unwrap_or_default();
        if *expected < 0 || found < 0 {
            record.breach(Breach::Negative, format!("{found} of {product}; {expected} by the orders"));
        }
        let breach = if found > *expected { Breach::Lost } else { Breach::Doubled };
        if found != *expected {
            record.breach(breach, format!("{product}: {expected} should be left by the orders, the shop has {found}"));
        }
    }
}

/// Opening stock less what SQL says was allocated.
fn left_over(record: &DrillRecord, rows: &[PlacedItem]) -> BTreeMap<String, i64> {
    let mut left = record.catalogue.clone();
    for row in rows {
        if let (Some(product), Some(allocated)) = (&row.product_id, row.allocated)
            && let Some(stock) = left.get_mut(product)
        {
            *stock -= allocated;
        }
    }
    left
}

/// Stock by product as the read model shows it.
async fn shelves(drill: &Drill<'_>) -> anyhow::Result<BTreeMap<String, i64>> {
    let Said::Yes(state) = drill.storefront.products().await else { bail!("the shop does not show its products") };
    let products = state["products"].as_array().context("the shop's products are no list")?;
    let stock = |product: &serde_json::Value| Some((product["productId"].as_str()?.to_owned(), product["inventory"].as_i64()?));
    Ok(products.iter().filter_map(stock).collect())
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
