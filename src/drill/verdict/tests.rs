//! Every way to break a promise, each found under its own name; and cases that are no breach.

use super::*;

fn row(order: &str, user: &str, product: &str, outcome: Option<(&str, i64, i64)>) -> PlacedItem {
    PlacedItem {
        order_id: order.to_owned(),
        customer_id: user.to_owned(),
        product_id: Some(product.to_owned()),
        quantity: Some(3),
        outcome: outcome.map(|outcome| outcome.0.to_owned()),
        allocated: outcome.map(|outcome| outcome.1),
        shortfall: outcome.map(|outcome| outcome.2),
    }
}

fn sold(order: &str, user: &str) -> PlacedItem {
    row(order, user, "A", Some(("ALLOCATED", 3, 0)))
}

fn purchase(user: &str, answer: CheckoutAnswer) -> Purchase {
    Purchase {
        user: user.to_owned(),
        session: String::new(),
        key: String::new(),
        lines: BTreeMap::from([("A".to_owned(), 3)]),
        by_wal: false,
        answer,
    }
}

fn promised(user: &str, order: &str) -> Purchase {
    purchase(user, CheckoutAnswer::Promised(order.to_owned()))
}

/// The breaches of these purchases and rows; ten units of A were there at first.
fn breaches(purchases: &[Purchase], rows: &[PlacedItem], shown: i64) -> Vec<Breach> {
    let record = DrillRecord::new(BTreeMap::from([("A".to_owned(), 10)]));
    judge_orders(&record, purchases, rows);
    judge_items(&record, rows);
    judge_shelves(&record, &left_over(&record, rows), &BTreeMap::from([("A".to_owned(), shown)]));
    record.breaches().into_keys().collect()
}

#[test]
fn promises_that_were_kept_are_no_breach() {
    assert_eq!(breaches(&[promised("u", "o")], &[sold("o", "u")], 7), []);
    assert_eq!(breaches(&[promised("u", "o")], &[row("o", "u", "A", Some(("SHORT", 1, 2)))], 9), []);
    assert_eq!(breaches(&[promised("u", "o")], &[row("o", "u", "A", Some(("SHORT", 0, 3)))], 10), [], "rejected");
    assert_eq!(breaches(&[purchase("u", CheckoutAnswer::Unclear)], &[], 10), [], "never happened");
    assert_eq!(breaches(&[purchase("u", CheckoutAnswer::Unclear)], &[sold("o", "u")], 7), [], "happened once");
    assert_eq!(breaches(&[purchase("u", CheckoutAnswer::Refused("409".to_owned()))], &[], 10), []);
}

#[test]
fn every_broken_promise_has_its_name() {
    let kept = || promised("u", "o");
    for (found, purchases, rows, shown) in [
        (Breach::Lost, vec![kept()], vec![], 10),
        (Breach::Lost, vec![kept()], vec![sold("o", "u")], 10),
        (Breach::Lost, vec![kept()], vec![sold("o", "u")], 8),
        (Breach::Doubled, vec![kept()], vec![sold("o", "u")], 4),
        (Breach::Doubled, vec![kept()], vec![sold("o", "u"), sold("p", "u")], 4),
        (Breach::Doubled, vec![purchase("u", CheckoutAnswer::Unclear)], vec![sold("o", "u"), sold("p", "u")], 4),
        (Breach::Phantom, vec![], vec![sold("o", "u")], 7),
        (Breach::Phantom, vec![purchase("u", CheckoutAnswer::Refused("409".to_owned()))], vec![sold("o", "u")], 7),
        (Breach::Altered, vec![kept()], vec![row("o", "u", "B", Some(("ALLOCATED", 3, 0)))], 10),
        (Breach::Altered, vec![kept()], vec![row("o", "u", "A", Some(("ALLOCATED", 2, 0)))], 8),
        (Breach::Altered, vec![kept()], vec![row("o", "u", "A", Some(("SHORT", 2, 2)))], 8),
        (Breach::Altered, vec![kept()], vec![row("o", "u", "A", Some(("STOLEN", 3, 0)))], 7),
        (Breach::Unsettled, vec![kept()], vec![row("o", "u", "A", None)], 10),
    ] {
        assert_eq!(breaches(&purchases, &rows, shown), [found], "{purchases:?} {rows:?} {shown}");
    }
}

#[test]
fn less_than_nothing_is_negative_whoever_says_so() {
    let four = ["o", "p", "q", "r"].map(|order| sold(order, &format!("user of {order}")));
    let asked: Vec<Purchase> = four.iter().map(|row| promised(&row.customer_id, &row.order_id)).collect();
    assert_eq!(breaches(&asked, &four, -2), [Breach::Negative]);
    assert_eq!(breaches(&asked, &four, 0), [Breach::Lost, Breach::Negative], "more was given away than there was");
}

#[test]
fn what_was_removed_for_good_must_not_be_shown() {
    let record = DrillRecord::new(BTreeMap::new());
    judge_retired(&record, &BTreeMap::from([("A".to_owned(), 1)]));
    assert!(record.breaches().is_empty());
    judge_retired(&record, &BTreeMap::from([(Plan::retired().remove(0), 3)]));
    assert_eq!(record.breaches().into_keys().collect::<Vec<_>>(), [Breach::CameBack]);
}
