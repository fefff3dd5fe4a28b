//! Every rule of the contract's section 1 as a row: state, command, next state, effects.
//!
//! States are written `stock@cents life.version`, with `heard T` where it is not 100 and `stale` where it is; effects as
//! `KIND before>after cents>cents revision`, then what an order item got.

use std::sync::Arc;

use super::*;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Quantity};
use crate::domain::inventory::command::{InputPosition, InputTopic};
use crate::domain::inventory::{ProbedItem, RefusedItem, order_expired, order_refused};
use crate::domain::product::Details;

const RULES: Rules = Rules { critical_max: 5, warning_max: 9, stale_after_ms: 1000 };
/// When every state of these tables was last named, and when the commands arrive.
const BEFORE: EpochMs = 100;
const NOW: EpochMs = 200;

fn id() -> ProductId {
    ProductId::new("MUG").unwrap()
}

fn product(stock: i64, cents: i64, name: &str) -> Product {
    let details = Arc::new(Details { name: name.into(), ..Details::default() });
    Product { id: id(), price: Cents::new(cents).unwrap(), stock: Stock::new(stock).unwrap(), details }
}

fn at(topic: InputTopic, offset: i64, index: u32) -> Cause {
    Cause::Record { topic, partition: 0, position: InputPosition { offset, index } }
}

/// A product of revision 7.3, last named at 100, with update 7 and order 20 applied.
fn state(stock: i64, cents: i64) -> ProductState {
    let mut applied = Applied::default();
    applied.advance(&at(InputTopic::ProductUpdates, 7, 0));
    applied.advance(&at(InputTopic::OrderEvents, 20, 0));
    ProductState {
        product: product(stock, cents, "Mug"),
        revision: Revision { life: 7, version: 3 },
        changed_at_ms: 50,
        last_heard_ms: BEFORE,
        stale_deadline_ms: BEFORE + RULES.stale_after_ms,
        stale: false,
        applied,
    }
}

fn order(units: i64) -> Command {
    let order_item_id = Some(OrderItemId::new("i").unwrap());
    Command::Deduct(OrderItem { order_id: OrderId::new("o").unwrap(), order_item_id, quantity: Quantity::new(units).unwrap() })
}

fn upsert(stock: i64, cents: i64) -> Command {
    Command::Upsert(product(stock, cents, "Mug"))
}

fn state_text(state: Option<&ProductState>) -> String {
    let Some(state) = state else { return "nothing".to_owned() };
    let ProductState { product, revision, last_heard_ms, stale, stale_deadline_ms, .. } = state;
    assert_eq!(*stale_deadline_ms, last_heard_ms + RULES.stale_after_ms);
    let heard = if *last_heard_ms == BEFORE { String::new() } else { format!(" heard {last_heard_ms}") };
    let stale = if *stale { " stale" } else { "" };
    format!("{}@{} {}.{}{heard}{stale}", product.stock.units(), product.price.cents(), revision.life, revision.version)
}

fn effect_text(effect: &Effect) -> String {
    let event = match effect {
        Effect::Raise(alert) => return format!("! {} {}", alert.severity().as_str(), alert.message()),
        Effect::Publish(event) => event,
    };
    let units = |stock: Option<Stock>| stock.map_or("-".to_owned(), |stock| stock.units().to_string());
    let cents = |price: Option<Cents>| price.map_or("-".to_owned(), |price| price.cents().to_string());
    let revision = event.revision.map_or("-".to_owned(), |revision| format!("{}.{}", revision.life, revision.version));
    let item =
        event.order.as_ref().map_or(String::new(), |o| format!(" got {}/{} short {}", o.allocated, o.quantity, o.shortfall));
    format!(
        "{} {}>{} {}>{} {revision}{item}",
        event.kind.as_str(),
        units(event.previous_stock),
        event.current_stock.units(),
        cents(event.previous_price),
        cents(event.current_price),
    )
}

/// One row: the state before, the command, the state after, how it is accounted for, the effects.
type Case<'a> = (Option<ProductState>, Command, &'a str, Outcome, &'a [&'a str]);

fn check(cause: Cause, rows: &[Case<'_>]) {
    for (before, command, next, outcome, effects) in rows {
        let input = Input { product_id: id(), command: command.clone(), cause, at_ms: NOW };
        let result = apply(&RULES, before.as_ref(), &input);
        let row = format!("{} × {command:?}", state_text(before.as_ref()));
        assert_eq!(state_text(result.next.as_ref()), *next, "{row}");
        assert_eq!(result.outcome, *outcome, "{row}");
        assert_eq!(result.effects.iter().map(effect_text).collect::<Vec<_>>(), *effects, "{row}");
        for (place, event) in events(&result).enumerate() {
            assert_eq!((usize::from(event.ordinal), event.cause, event.at_ms), (place, cause, NOW), "{row}");
            assert_eq!(
                event.level,
                if event.kind == EventKind::OrderRejected { StockLevel::Normal } else { RULES.level(event.current_stock) },
                "{row}"
            );
        }
    }
}

fn events(result: &Transition) -> impl Iterator<Item = &InventoryEvent> {
    result.effects.iter().filter_map(|effect| match effect {
        Effect::Publish(event) => Some(event),
        Effect::Raise(_) => None,
    })
}

#[test]
fn a_new_product_starts_a_life() {
    use Outcome::Applied as Change;
    check(
        at(InputTopic::ProductUpdates, 40, 2),
        &[
            (None, upsert(10, 2000), "10@2000 40.1 heard 200", Change, &["PRODUCT_ADDED 0>10 0>2000 40.1"]),
            (
                None,
                upsert(9, 0),
                "9@0 40.1 heard 200",
                Change,
                &["PRODUCT_ADDED 0>9 0>0 40.1", "! WARNING Low stock: only 9 items remaining"],
            ),
            (
                None,
                upsert(5, 1),
                "5@1 40.1 heard 200",
                Change,
                &["PRODUCT_ADDED 0>5 0>1 40.1", "! CRITICAL Low stock: only 5 items remaining"],
            ),
            (
                None,
                upsert(0, 1),
                "0@1 40.1 heard 200",
                Change,
                &["PRODUCT_ADDED 0>0 0>1 40.1", "! CRITICAL Product is out of stock"],
            ),
        ],
    );
}

#[test]
fn the_file_starts_lives_and_touches_none() {
    check(
        Cause::File { index: 3 },
        &[
            (None, upsert(10, 2000), "10@2000 0.1 heard 200", Outcome::Applied, &["PRODUCT_ADDED 0>10 0>2000 0.1"]),
            (Some(state(4, 2000)), upsert(10, 999), "4@2000 7.3", Outcome::Unchanged, &[]),
        ],
    );
}

#[test]
fn a_catalogue_update_tells_stock_then_price_then_details() {
    use Outcome::Applied as Change;
    let mug = |stock, cents| Some(state(stock, cents));
    let renamed = |stock, cents| Command::Upsert(product(stock, cents, "Cup"));
    check(
        at(InputTopic::ProductUpdates, 40, 0),
        &[
            (mug(20, 2000), upsert(20, 2000), "20@2000 7.3 heard 200", Outcome::Unchanged, &[]),
            (mug(20, 2000), upsert(15, 2000), "15@2000 7.4 heard 200", Change, &["INVENTORY_DECREASED 20>15 2000>2000 7.4"]),
            (mug(20, 2000), upsert(25, 2000), "25@2000 7.4 heard 200", Change, &["INVENTORY_INCREASED 20>25 2000>2000 7.4"]),
            (
                mug(20, 2000),
                upsert(0, 2000),
                "0@2000 7.4 heard 200",
                Change,
                &["OUT_OF_STOCK 20>0 2000>2000 7.4", "! CRITICAL Product is out of stock"],
            ),
            (mug(0, 2000), upsert(12, 2000), "12@2000 7.4 heard 200", Change, &["BACK_IN_STOCK 0>12 2000>2000 7.4"]),
            (mug(0, 2000), upsert(0, 2000), "0@2000 7.3 heard 200", Outcome::Unchanged, &[]),
            (mug(20, 2000), upsert(20, 2002), "20@2002 7.4 heard 200", Change, &["PRICE_CHANGED 20>20 2000>2002 7.4"]),
            (mug(20, 2000), upsert(20, 1998), "20@1998 7.4 heard 200", Change, &["PRICE_CHANGED 20>20 2000>1998 7.4"]),
            (mug(20, 2000), upsert(20, 2001), "20@2001 7.4 heard 200", Change, &["PRODUCT_UPDATED 20>20 2000>2001 7.4"]),
            (mug(20, 2000), upsert(20, 1999), "20@1999 7.4 heard 200", Change, &["PRODUCT_UPDATED 20>20 2000>1999 7.4"]),
            (mug(20, 2000), renamed(20, 2000), "20@2000 7.4 heard 200", Change, &["PRODUCT_UPDATED 20>20 2000>2000 7.4"]),
            (mug(20, 2000), renamed(21, 2001), "21@2001 7.4 heard 200", Change, &["INVENTORY_INCREASED 20>21 2000>2001 7.4"]),
            (mug(20, 2000), renamed(20, 2500), "20@2500 7.4 heard 200", Change, &["PRICE_CHANGED 20>20 2000>2500 7.4"]),
            (
                mug(20, 2000),
                upsert(11, 2500),
                "11@2500 7.4 heard 200",
                Change,
                &["INVENTORY_DECREASED 20>11 2000>2500 7.4", "PRICE_CHANGED 11>11 2000>2500 7.4"],
            ),
        ],
    );
}

#[test]
fn alerts_follow_the_level_in_both_directions_and_the_price_downwards() {
    use Outcome::Applied as Change;
    let mug = |stock, cents| Some(state(stock, cents));
    let low = |n| match n {
        3 => "! CRITICAL Low stock: only 3 items remaining",
        5 => "! CRITICAL Low stock: only 5 items remaining",
        6 => "! WARNING Low stock: only 6 items remaining",
        _ => "! WARNING Low stock: only 9 items remaining",
    };
    check(
        at(InputTopic::ProductUpdates, 40, 0),
        &[
            (mug(10, 100), upsert(9, 100), "9@100 7.4 heard 200", Change, &["INVENTORY_DECREASED 10>9 100>100 7.4", low(9)]),
            (mug(9, 100), upsert(6, 100), "6@100 7.4 heard 200", Change, &["INVENTORY_DECREASED 9>6 100>100 7.4"]),
            (mug(6, 100), upsert(5, 100), "5@100 7.4 heard 200", Change, &["INVENTORY_DECREASED 6>5 100>100 7.4", low(5)]),
            (mug(5, 100), upsert(6, 100), "6@100 7.4 heard 200", Change, &["INVENTORY_INCREASED 5>6 100>100 7.4", low(6)]),
            (mug(0, 100), upsert(3, 100), "3@100 7.4 heard 200", Change, &["BACK_IN_STOCK 0>3 100>100 7.4", low(3)]),
            (mug(3, 100), upsert(10, 100), "10@100 7.4 heard 200", Change, &["INVENTORY_INCREASED 3>10 100>100 7.4"]),
            (
                mug(20, 1000),
                upsert(20, 900),
                "20@900 7.4 heard 200",
                Change,
                &["PRICE_CHANGED 20>20 1000>900 7.4", "! INFO Price dropped 10.0% from $10.00 to $9.00"],
            ),
            (mug(20, 1000), upsert(20, 901), "20@901 7.4 heard 200", Change, &["PRICE_CHANGED 20>20 1000>901 7.4"]),
            (
                mug(20, 1000),
                upsert(20, 0),
                "20@0 7.4 heard 200",
                Change,
                &["PRICE_CHANGED 20>20 1000>0 7.4", "! INFO Price dropped 100.0% from $10.00 to $0.00"],
            ),
            (mug(20, 0), upsert(20, 900), "20@900 7.4 heard 200", Change, &["PRICE_CHANGED 20>20 0>900 7.4"]),
            (
                mug(20, 10),
                upsert(20, 9),
                "20@9 7.4 heard 200",
                Change,
                &["PRODUCT_UPDATED 20>20 10>9 7.4", "! INFO Price dropped 10.0% from $0.10 to $0.09"],
            ),
            (
                mug(20, 1000),
                upsert(3, 500),
                "3@500 7.4 heard 200",
                Change,
                &[
                    "INVENTORY_DECREASED 20>3 1000>500 7.4",
                    "PRICE_CHANGED 3>3 1000>500 7.4",
                    low(3),
                    "! INFO Price dropped 50.0% from $10.00 to $5.00",
                ],
            ),
        ],
    );
}

#[test]
fn an_order_item_takes_what_there_is() {
    let mug = |stock| Some(state(stock, 100));
    let out = "! CRITICAL Product is out of stock";
    check(
        at(InputTopic::OrderEvents, 40, 0),
        &[
            (
                mug(20),
                order(2),
                "18@100 7.4 heard 200",
                Outcome::Applied,
                &["INVENTORY_DECREASED 20>18 100>100 7.4 got 2/2 short 0"],
            ),
            (
                mug(10),
                order(2),
                "8@100 7.4 heard 200",
                Outcome::Applied,
                &["INVENTORY_DECREASED 10>8 100>100 7.4 got 2/2 short 0", "! WARNING Low stock: only 8 items remaining"],
            ),
            (mug(2), order(2), "0@100 7.4 heard 200", Outcome::Applied, &["OUT_OF_STOCK 2>0 100>100 7.4 got 2/2 short 0", out]),
            (
                mug(2),
                order(1_000_000_000),
                "0@100 7.4 heard 200",
                Outcome::Applied,
                &["OUT_OF_STOCK 2>0 100>100 7.4 got 2/1000000000 short 999999998", out],
            ),
            (mug(0), order(3), "0@100 7.3 heard 200", Outcome::Unchanged, &["OUT_OF_STOCK 0>0 100>100 7.3 got 0/3 short 3"]),
            (None, order(3), "nothing", Outcome::Unchanged, &["ORDER_REJECTED 0>0 ->- - got 0/3 short 3"]),
        ],
    );
}

#[test]
fn a_removal_ends_the_life_without_an_alert() {
    check(
        at(InputTopic::ProductUpdates, 40, 0),
        &[
            (Some(state(20, 100)), Command::Remove, "nothing", Outcome::Applied, &["PRODUCT_REMOVED 20>0 100>100 7.4"]),
            (Some(state(0, 100)), Command::Remove, "nothing", Outcome::Applied, &["PRODUCT_REMOVED 0>0 100>100 7.4"]),
            (None, Command::Remove, "nothing", Outcome::Unchanged, &[]),
        ],
    );
}

#[test]
fn a_product_goes_stale_once_and_comes_back_with_a_sign_of_life() {
    let deadline_ms = BEFORE + RULES.stale_after_ms;
    let stale = || Some(ProductState { stale: true, ..state(4, 100) });
    let due = Command::CheckStale { deadline_ms };
    check(
        Cause::Timer { deadline_ms },
        &[
            (Some(state(4, 100)), due.clone(), "4@100 7.3 stale", Outcome::Unchanged, &["STALE_INVENTORY 4>4 100>100 7.3"]),
            (stale(), due.clone(), "4@100 7.3 stale", Outcome::Unchanged, &[]),
            (Some(state(4, 100)), Command::CheckStale { deadline_ms: deadline_ms - 1 }, "4@100 7.3", Outcome::Unchanged, &[]),
            (Some(state(4, 100)), Command::CheckStale { deadline_ms: deadline_ms + 1 }, "4@100 7.3", Outcome::Unchanged, &[]),
            (None, due, "nothing", Outcome::Unchanged, &[]),
        ],
    );
    check(at(InputTopic::ProductUpdates, 40, 0), &[(stale(), upsert(4, 100), "4@100 7.3 heard 200", Outcome::Unchanged, &[])]);
    check(
        at(InputTopic::OrderEvents, 40, 0),
        &[(stale(), order(1), "3@100 7.4 heard 200", Outcome::Applied, &["INVENTORY_DECREASED 4>3 100>100 7.4 got 1/1 short 0"])],
    );
}

#[test]
fn a_record_that_was_applied_changes_nothing_and_is_not_heard() {
    for applied in [
        at(InputTopic::ProductUpdates, 7, 0),
        at(InputTopic::ProductUpdates, 6, 9),
        at(InputTopic::OrderEvents, 20, 0),
        at(InputTopic::OrderEvents, 3, 0),
    ] {
        for command in [upsert(1, 1), Command::Remove, order(1)] {
            check(applied, &[(Some(state(4, 100)), command, "4@100 7.3", Outcome::Duplicate, &[])]);
        }
    }
    check(
        at(InputTopic::ProductUpdates, 7, 1),
        &[(
            Some(state(20, 100)),
            upsert(19, 100),
            "19@100 7.4 heard 200",
            Outcome::Applied,
            &["INVENTORY_DECREASED 20>19 100>100 7.4"],
        )],
    );
}

#[test]
fn a_log_whose_clock_steps_back_never_shortens_a_life() {
    let input = Input { product_id: id(), command: order(1), cause: at(InputTopic::OrderEvents, 40, 0), at_ms: BEFORE - 90 };
    let next = apply(&RULES, Some(&state(4, 100)), &input).next.unwrap();
    assert_eq!((next.last_heard_ms, next.stale_deadline_ms), (BEFORE, BEFORE + RULES.stale_after_ms));
    // Its deadline has made it stale; a later input that names it sets another deadline.
    let stale = ProductState { stale: true, ..state(4, 100) };
    assert!([BEFORE - 90, BEFORE].into_iter().all(|at_ms| {
        let next = apply(&RULES, Some(&stale), &Input { at_ms, ..input.clone() }).next.unwrap();
        next.stale && next.stale_deadline_ms == stale.stale_deadline_ms
    }));
    assert!(!apply(&RULES, Some(&stale), &Input { at_ms: BEFORE + 1, ..input }).next.unwrap().stale);
}

#[test]
fn every_kind_of_record_is_remembered_even_if_it_changes_nothing() {
    for (cause, command) in
        [(at(InputTopic::ProductUpdates, 40, 3), upsert(0, 100)), (at(InputTopic::OrderEvents, 41, 0), order(1))]
    {
        let input = Input { product_id: id(), command, cause, at_ms: NOW };
        let next = apply(&RULES, Some(&state(0, 100)), &input).next.unwrap();
        assert!(next.applied.covers(&cause) && next.last_heard_ms == NOW);
        assert_eq!(apply(&RULES, Some(&next), &input).outcome, Outcome::Duplicate);
    }
}

#[test]
fn answers_repeat_what_is_known_of_the_product() {
    let outcome =
        OrderOutcome { order_id: OrderId::new("o").unwrap(), order_item_id: None, quantity: 0, allocated: 0, shortfall: 0 };
    let (product_id, cause) = (id(), at(InputTopic::OrderEvents, 40, 0));
    let probed = ProbedItem { product_id: &product_id, cause, outcome: outcome.clone() };
    let refused = RefusedItem { product_id: &product_id, cause, outcome, at_ms: NOW, reason: "why".to_owned() };
    let text = |event| effect_text(&Effect::Publish(event));
    let mug = state(4, 100);
    assert_eq!(text(order_expired(&RULES, Some(&mug), &probed, NOW)), "ORDER_EXPIRED 4>4 100>100 7.3 got 0/0 short 0");
    assert_eq!(text(order_expired(&RULES, None, &probed, NOW)), "ORDER_EXPIRED 0>0 ->- - got 0/0 short 0");
    assert_eq!(text(order_refused(&RULES, Some(&mug), refused.clone())), "ORDER_REJECTED 4>4 100>100 7.3 got 0/0 short 0");
    assert_eq!(order_refused(&RULES, Some(&mug), refused).level, StockLevel::Critical);
}
