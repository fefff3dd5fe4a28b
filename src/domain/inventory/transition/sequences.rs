//! Property tests with random sequences of commands, and the invariants that hold after each command.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::{OrderId, ProductId, Quantity};
use crate::domain::inventory::command::{InputPosition, InputTopic};
use crate::domain::product::Details;

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let upsert = (0..15_i64, 0..200_i64, 0..3_u8).prop_map(|(stock, cents, name)| {
        let details = Arc::new(Details { name: format!("n{name}").into(), ..Details::default() });
        let (price, stock) = (Cents::new(cents).unwrap(), Stock::new(stock).unwrap());
        Command::Upsert(Product { id: id(), price, stock, details })
    });
    let order = (1..8_i64).prop_map(|units| {
        let quantity = Quantity::new(units).unwrap();
        Command::Deduct(OrderItem { order_id: OrderId::new("o").unwrap(), order_item_id: None, quantity })
    });
    // A deadline of 0 stands for "the product's current deadline".
    let stale = prop_oneof![Just(0), Just(1)].prop_map(|deadline_ms| Command::CheckStale { deadline_ms });
    prop::collection::vec(prop_oneof![4 => upsert, 8 => order, 1 => Just(Command::Remove), 2 => stale], 1..120)
}

fn id() -> ProductId {
    ProductId::new("P").unwrap()
}

/// The command as it would come from the log: at its own position, three within each second.
fn input(command: &Command, place: usize, state: Option<&ProductState>) -> Input {
    let offset = i64::try_from(place).unwrap();
    let at = |topic| Cause::Record { topic, partition: 0, position: InputPosition { offset, index: 0 } };
    let due = state.map_or(0, |known| known.stale_deadline_ms);
    let (command, cause) = match command {
        Command::CheckStale { deadline_ms: 0 } => (Command::CheckStale { deadline_ms: due }, Cause::Timer { deadline_ms: due }),
        Command::CheckStale { deadline_ms } => (command.clone(), Cause::Timer { deadline_ms: *deadline_ms }),
        Command::Deduct(_) => (command.clone(), at(InputTopic::OrderEvents)),
        Command::Upsert(_) | Command::Remove => (command.clone(), at(InputTopic::ProductUpdates)),
    };
    Input { product_id: id(), command, cause, at_ms: 1000 * (offset / 3) }
}

fn events(result: &Transition) -> Vec<&InventoryEvent> {
    result
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish(event) => Some(event),
            Effect::Raise(_) => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_ledger_adds_up(commands in commands()) {
        let rules = Rules::default();
        let mut state: Option<ProductState> = None;
        let mut last: Option<Revision> = None;
        let mut ledger = 0;
        let mut due = BTreeSet::new();
        for (place, command) in commands.iter().enumerate() {
            let input = input(command, place, state.as_ref());
            let result = apply(&rules, state.as_ref(), &input);
            let events = events(&result);

            // The events' changes add up to the stock, and each event starts with the stock of the previous one.
            for event in &events {
                prop_assert_eq!(event.previous_stock.map(Stock::units), Some(ledger));
                ledger = event.current_stock.units();
                prop_assert!(ledger >= 0);
                if let Some(order) = &event.order {
                    prop_assert_eq!(order.allocated + order.shortfall, order.quantity);
                    prop_assert!(order.allocated >= 0 && order.shortfall >= 0);
                }
            }
            for event in events.iter().filter(|event| event.kind == EventKind::StaleInventory) {
                let life = event.revision.map(|revision| revision.life);
                prop_assert!(due.insert((life, event.cause.to_string())), "stale twice of one deadline");
            }
            prop_assert_eq!(ledger, result.next.as_ref().map_or(0, |next| next.product.stock.units()));

            // One change raises the version by one and has at least one event; nothing else raises it.
            let revisions: Vec<_> = events.iter().filter_map(|event| event.revision).collect();
            match (result.outcome, last) {
                (Outcome::Applied, Some(last)) if state.is_some() => {
                    prop_assert!(!revisions.is_empty() && revisions.iter().all(|r| *r == last.next()));
                }
                (Outcome::Applied, _) => prop_assert!(revisions == [Revision::first_of(i64::try_from(place).unwrap())]),
                (Outcome::Unchanged, _) => prop_assert!(revisions.iter().all(|r| Some(*r) == last)),
                (Outcome::Duplicate, _) => prop_assert!(false, "a record that never came before"),
            }
            if let Some(revision) = revisions.last() {
                prop_assert!(last.is_none_or(|last| last <= *revision));
                last = Some(*revision);
            }
            prop_assert_eq!(result.next.as_ref().map(|next| next.revision), result.next.as_ref().and(last));

            // The same record again changes nothing (a removal leaves no state that could detect it).
            if result.next.is_some() {
                let again = apply(&rules, result.next.as_ref(), &input);
                prop_assert_eq!(&again.next, &result.next);
                prop_assert!(again.effects.is_empty(), "{:?}", again.effects);
            }
            state = result.next;
        }
    }

    #[test]
    fn the_same_input_gives_the_same_result(commands in commands()) {
        let rules = Rules::default();
        let mut state: Option<ProductState> = None;
        for (place, command) in commands.iter().enumerate() {
            let input = input(command, place, state.as_ref());
            let result = apply(&rules, state.as_ref(), &input);
            prop_assert_eq!(&result, &apply(&rules, state.as_ref(), &input));
            state = result.next;
        }
    }
}
