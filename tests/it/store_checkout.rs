//! Checkout: one cart, one order; one key, one order; whole or absent.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kartshoppe::domain::ids::ProductId;
use kartshoppe::domain::money::Cents;
use kartshoppe::store::{
    Checkout, CheckoutError, CheckoutRequest, IdempotencyKey, Offer, Order, PublishVia, Store, StoreError, StoreOptions,
};
use kartshoppe::telemetry::context::TraceContext;

use crate::support::postgres::{TestDatabase, count, database, product, request, session, ten};

const ORDERS: &str = "SELECT count(*) FROM orders";
const ITEMS: &str = "SELECT count(*) FROM order_items";

fn placed(checkout: Checkout) -> Order {
    match checkout {
        Checkout::Placed(order, _) => order,
        Checkout::Replayed(order) => panic!("expected a new order, got the old {}", order.order_id),
    }
}

fn keyed(session_id: &str, key: &str, body: &str) -> CheckoutRequest {
    let key = IdempotencyKey::new(key, &session(session_id), body.as_bytes()).unwrap();
    CheckoutRequest { idempotency_key: Some(key), ..request(session_id) }
}

async fn filled(session_id: &str, lines: &[(&str, i64)]) -> TestDatabase {
    let db = database().await;
    fill(&db.store, session_id, lines).await;
    db
}

async fn fill(store: &Store, session_id: &str, lines: &[(&str, i64)]) {
    for (id, units) in lines {
        store.add_to_cart(&session(session_id), None, &product(id), *units).await.unwrap();
    }
}

#[tokio::test]
async fn a_cart_becomes_an_order_at_the_catalogues_prices() {
    let db = filled("s", &[("B", 3), ("A", 1)]).await;
    let prices = |id: &ProductId| {
        let cents = if id.as_str() == "B" { 333 } else { 4_001 };
        Some(Offer { name: format!("The {id}"), price: Cents::new(cents).unwrap() })
    };
    let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let asked = CheckoutRequest {
        publish_via: PublishVia::Direct,
        shipping_address: Some(r#"{"street":"O'Hara; DROP TABLE orders --"}"#.to_owned()),
        payment_method: Some("card".to_owned()),
        payment_info: Some(r#"{"last4":"4242"}"#.to_owned()),
        trace: Some(trace),
        ..request("s")
    };
    let before_ms = db.store.now_ms().await.unwrap();
    let order = placed(db.store.checkout(&asked, prices).await.unwrap());
    let totals = order.totals;
    assert_eq!(
        [totals.subtotal, totals.tax, totals.shipping, totals.total].map(Cents::cents),
        [5_000, 400, 599, 5_999],
        "3 × 3.33 + 40.01, 8 % tax, shipping as it is not above 50.00"
    );
    let lines: Vec<_> =
        order.items.iter().map(|item| (item.product_id.as_str(), item.quantity, item.line_total.cents())).collect();
    assert_eq!(lines, [("B", 3, 999), ("A", 1, 4_001)]);
    assert!(order.items.iter().all(|item| item.expires_at_ms == Some(order.created_at_ms + 15_000)));
    assert!(order.created_at_ms >= before_ms);
    assert_eq!(db.store.order(&order.order_id, Some(&session("s"))).await.unwrap(), Some(order.clone()));
    assert_eq!(db.store.orders_of_session(&session("s")).await.unwrap(), std::slice::from_ref(&order));
    assert_eq!(db.store.order(&order.order_id, Some(&session("another"))).await.unwrap(), None);
    assert!(db.store.cart(&session("s")).await.unwrap().lines.is_empty());
    let traced = "SELECT count(*) FROM order_items WHERE traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'";
    assert_eq!(count(&db.store, traced).await, 2);
}

#[tokio::test]
async fn a_wal_order_never_expires() {
    let db = filled("s", &[("A", 1)]).await;
    let order = placed(db.store.checkout(&request("s"), ten).await.unwrap());
    assert_eq!((order.items[0].publish_via, order.items[0].expires_at_ms), (PublishVia::Wal, None));
}

#[tokio::test]
async fn a_refused_checkout_changes_nothing() {
    let db = filled("s", &[("A", 1), ("B", 2)]).await;
    let before = db.store.cart(&session("s")).await.unwrap();
    let without_b = |id: &ProductId| if id.as_str() == "B" { None } else { ten(id) };
    match db.store.checkout(&request("s"), without_b).await {
        Err(CheckoutError::ProductGone { product_ids, cart }) => {
            assert_eq!((product_ids, *cart), (vec![product("B")], before.clone()))
        }
        other => panic!("{other:?}"),
    }
    let expecting = CheckoutRequest { expected_total: Some(Cents::new(1).unwrap()), ..request("s") };
    match db.store.checkout(&expecting, ten).await {
        Err(CheckoutError::TotalChanged { totals, .. }) => assert_eq!(totals.total.cents(), 3_000 + 240 + 599),
        other => panic!("{other:?}"),
    }
    let dear = |_: &ProductId| Some(Offer { name: String::new(), price: Cents::new(9_999_999_999).unwrap() });
    assert!(matches!(db.store.checkout(&request("s"), dear).await, Err(CheckoutError::TooExpensive)));
    let long = CheckoutRequest { payment_method: Some("x".repeat(51)), ..request("s") };
    assert!(matches!(db.store.checkout(&long, ten).await, Err(CheckoutError::Invalid(_))));
    assert!(matches!(db.store.checkout(&request("empty"), ten).await, Err(CheckoutError::EmptyCart)));
    assert_eq!(db.store.cart(&session("s")).await.unwrap(), before);
    assert_eq!(count(&db.store, ORDERS).await + count(&db.store, "SELECT count(*) FROM idempotency_keys").await, 0);
    let right = CheckoutRequest { expected_total: Some(Cents::new(3_839).unwrap()), ..request("s") };
    placed(db.store.checkout(&right, ten).await.unwrap());
}

#[tokio::test]
async fn one_cart_is_ordered_once_by_concurrent_checkouts() {
    let db = filled("s", &[("A", 1)]).await;
    let results = at_once(&db.store, (0..50).map(|_| request("s")).collect()).await;
    let empty = results.iter().filter(|result| matches!(result, Err(CheckoutError::EmptyCart))).count();
    assert_eq!((results.iter().filter(|result| result.is_ok()).count(), empty), (1, 49));
    assert_eq!(count(&db.store, ORDERS).await, 1);
}

#[tokio::test]
async fn one_key_is_one_order_also_while_the_first_is_under_way() {
    let db = filled("s", &[("A", 2)]).await;
    let results = at_once(&db.store, (0..50).map(|_| keyed("s", "k", "{}")).collect()).await;
    let orders: Vec<&Order> = results
        .iter()
        .map(|result| match result {
            Ok(Checkout::Placed(order, _) | Checkout::Replayed(order)) => order,
            Err(error) => panic!("{error}"),
        })
        .collect();
    assert!(orders.iter().all(|order| *order == orders[0]), "every answer is the same, field by field");
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Checkout::Placed(_, _)))).count(), 1);
    fill(&db.store, "s", &[("B", 1)]).await;
    let again = db.store.checkout(&keyed("s", "k", "{}"), ten).await.unwrap();
    assert_eq!(again, Checkout::Replayed(orders[0].clone()), "also when there is something in the cart again");
    assert_eq!((count(&db.store, ORDERS).await, count(&db.store, ITEMS).await), (1, 1));
}

#[tokio::test]
async fn a_key_of_another_body_is_refused_and_one_of_another_session_is_another_key() {
    let db = filled("s", &[("A", 1)]).await;
    placed(db.store.checkout(&keyed("s", "k", "{}"), ten).await.unwrap());
    fill(&db.store, "s", &[("A", 1)]).await;
    fill(&db.store, "t", &[("A", 1)]).await;
    assert!(matches!(db.store.checkout(&keyed("s", "k", "{ }"), ten).await, Err(CheckoutError::KeyMismatch)));
    placed(db.store.checkout(&keyed("t", "k", "{}"), ten).await.unwrap());
    fill(&db.store, "t", &[("A", 1)]).await;
    // Two sessions with one new key at once: each gets its order.
    let results = at_once(&db.store, vec![keyed("s", "new", "{}"), keyed("t", "new", "{}")]).await;
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Checkout::Placed(_, _)))).count(), 2);
    assert_eq!(count(&db.store, ORDERS).await, 4);
}

#[tokio::test]
async fn a_key_that_an_older_version_stored_is_honoured_for_its_own_session() {
    let db = filled("s", &[("A", 1)]).await;
    let first = placed(db.store.checkout(&keyed("s", "k", "{}"), ten).await.unwrap());
    sqlx::query("UPDATE idempotency_keys SET key = 'k'").execute(db.store.pool()).await.unwrap();
    fill(&db.store, "s", &[("A", 1)]).await;
    fill(&db.store, "t", &[("A", 1)]).await;
    let Checkout::Replayed(again) = db.store.checkout(&keyed("s", "k", "{}"), ten).await.unwrap() else { panic!("a new order") };
    assert_eq!(again.order_id, first.order_id);
    assert!(matches!(db.store.checkout(&keyed("s", "k", "{ }"), ten).await, Err(CheckoutError::KeyMismatch)));
    placed(db.store.checkout(&keyed("t", "k", "{ }"), ten).await.unwrap());
    sqlx::query("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'").execute(db.store.pool()).await.unwrap();
    placed(db.store.checkout(&keyed("s", "k", "other"), ten).await.unwrap());
}

/// The caller that runs a group may be dropped, as when its connection closes: the others of the group still get their results.
#[tokio::test]
async fn a_dropped_caller_loses_only_its_own_answer() {
    for _ in 0..30 {
        let db = database().await;
        let sessions: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
        for id in &sessions {
            fill(&db.store, id, &[("A", 1)]).await;
        }
        let asked = sessions.iter().map(|id| {
            let (store, request) = (db.store.clone(), keyed(id, id, "{}"));
            tokio::spawn(async move { store.checkout(&request, ten).await })
        });
        let asked: Vec<_> = asked.collect();
        // The first two have the turns; they are dropped at any moment of it.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        asked[0].abort();
        asked[1].abort();
        for call in asked.into_iter().skip(2) {
            placed(call.await.unwrap().unwrap());
        }
        db.store.close().await;
    }
}

#[tokio::test]
async fn texts_are_measured_in_characters() {
    let db = filled("s", &[("A", 1)]).await;
    let long = |text: &str, times: usize| Some(text.repeat(times));
    let with = |method: Option<String>, address: Option<String>| CheckoutRequest {
        payment_method: method,
        shipping_address: address,
        ..request("s")
    };
    for bad in [with(long("\u{e9}", 51), None), with(None, long("\u{1f600}", 4_097))] {
        assert!(matches!(db.store.checkout(&bad, ten).await, Err(CheckoutError::Invalid(_))));
    }
    let order = placed(db.store.checkout(&with(long("\u{e9}", 50), long("\u{1f600}", 4_096)), ten).await.unwrap());
    assert_eq!(db.store.order(&order.order_id, None).await.unwrap().unwrap().payment_method, order.payment_method);
}

#[tokio::test]
async fn an_item_keeps_when_its_line_came_into_the_cart() {
    let db = filled("s", &[("A", 1), ("B", 2)]).await;
    let cart = db.store.cart(&session("s")).await.unwrap();
    let order = placed(db.store.checkout(&request("s"), ten).await.unwrap());
    let kept = db.store.order(&order.order_id, None).await.unwrap().unwrap();
    let added = |lines: &[kartshoppe::store::OrderItem]| lines.iter().map(|item| item.added_at_ms).collect::<Vec<_>>();
    assert_eq!(added(&kept.items), cart.lines.iter().map(|line| Some(line.added_at_ms)).collect::<Vec<_>>());
    assert_eq!(added(&order.items), added(&kept.items));
}

#[tokio::test]
async fn a_failed_checkout_leaves_its_key_free_and_a_day_frees_it_too() {
    let db = database().await;
    assert!(matches!(db.store.checkout(&keyed("s", "k", "{}"), ten).await, Err(CheckoutError::EmptyCart)));
    fill(&db.store, "s", &[("A", 1)]).await;
    let first = placed(db.store.checkout(&keyed("s", "k", "{}"), ten).await.unwrap());
    sqlx::query("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'").execute(db.store.pool()).await.unwrap();
    fill(&db.store, "s", &[("A", 1)]).await;
    let second = placed(db.store.checkout(&keyed("s", "k", "other"), ten).await.unwrap());
    assert_ne!(first.order_id, second.order_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_changes_between_reading_and_buying_is_bought_as_it_is_then() {
    let db = filled("s", &[("A", 1)]).await;
    let store = db.store.clone();
    let runtime = tokio::runtime::Handle::current();
    // The price is looked up between the two statements: the first lookup adds a line behind the checkout's back.
    let asked = AtomicI64::new(0);
    let meddling = |id: &ProductId| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            let (store, runtime) = (store.clone(), runtime.clone());
            let add = move || runtime.block_on(async { store.add_to_cart(&session("s"), None, &product("B"), 5).await.unwrap() });
            std::thread::spawn(add).join().unwrap();
        }
        ten(id)
    };
    let order = tokio::task::block_in_place(|| runtime.block_on(db.store.checkout(&request("s"), meddling))).unwrap();
    assert_eq!(placed(order).items.iter().map(|item| item.quantity).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(count(&db.store, ITEMS).await, 2);
}

#[tokio::test]
async fn concurrent_checkouts_share_a_commit_and_each_gets_its_own_answer() {
    const BUYERS: i64 = 60;
    let db = database().await;
    let id = |number: i64| format!("s{number}");
    for number in (0..BUYERS).filter(|number| number % 10 != 3) {
        fill(&db.store, &id(number), &[("A", number + 1), ("B", 1)]).await;
    }
    let results = at_once(&db.store, (0..BUYERS).map(|number| keyed(&id(number), &id(number), "{}")).collect()).await;
    for (number, result) in (0..BUYERS).zip(results) {
        match result {
            Ok(Checkout::Placed(order, cart)) => {
                assert_eq!(order.session_id, Some(session(&id(number))));
                assert_eq!(order.items.iter().map(|item| item.quantity).collect::<Vec<_>>(), [number + 1, 1]);
                assert_eq!(cart, db.store.cart(&session(&id(number))).await.unwrap());
                assert_eq!(db.store.order(&order.order_id, None).await.unwrap(), Some(order));
            }
            Err(CheckoutError::EmptyCart) => assert_eq!(number % 10, 3, "only those have an empty cart"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count(&db.store, ORDERS).await, BUYERS / 10 * 9);
    let transactions = count(&db.store, "SELECT count(DISTINCT xmin::text) FROM orders").await;
    println!("{} orders in {transactions} transactions", BUYERS / 10 * 9);
    assert!(transactions < BUYERS / 2, "{transactions} transactions");
}

#[tokio::test]
async fn a_locked_cart_delays_no_other_checkout() {
    let db = database().await;
    let ids = ["a", "b", "c", "d", "e", "f"];
    for id in ids {
        fill(&db.store, id, &[("A", 1)]).await;
    }
    let mut other = db.store.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM carts WHERE session_id = 'c' FOR UPDATE").execute(&mut *other).await.unwrap();
    let results = at_once(&db.store, ids.iter().map(|id| keyed(id, id, "{}")).collect()).await;
    for (id, result) in ids.iter().zip(results) {
        match result {
            Ok(Checkout::Placed(_, _)) => assert_ne!(*id, "c"),
            Err(CheckoutError::Store(error)) => assert!(*id == "c" && error.is_retryable(), "{id}: {error:?}"),
            other => panic!("{id}: {other:?}"),
        }
    }
    other.rollback().await.unwrap();
    placed(db.store.checkout(&keyed("c", "c", "{}"), ten).await.unwrap());
    assert_eq!(count(&db.store, ORDERS).await, 6);
}

#[tokio::test]
async fn a_checkout_whose_connection_dies_is_whole_or_absent() {
    cut_while_buying(150, 1).await;
}

#[tokio::test]
async fn checkouts_that_share_a_connection_are_whole_or_absent() {
    cut_while_buying(60, 8).await;
}

/// This many at once, repeatedly, while all connections are cut.
async fn cut_while_buying(rounds: u64, buyers: usize) {
    let db = database().await;
    let mut admin = <sqlx::PgConnection as sqlx::Connection>::connect(&db.admin_url).await.unwrap();
    let (mut answered, mut cut) = (HashSet::new(), 0);
    for round in 0..rounds {
        let ids: Vec<String> = (0..buyers).map(|buyer| format!("s{round}-{buyer}")).collect();
        for id in &ids {
            // The pool may still hand out connections that were cut: they fail once.
            while store_lines(&db.store, id).await.is_none_or(|lines| lines < 2) {
                db.store.set_cart_quantity(&session(id), None, &product("A"), 1).await.ok();
                db.store.set_cart_quantity(&session(id), None, &product("B"), 1).await.ok();
            }
        }
        // At every moment of a checkout: sometimes sooner, sometimes later.
        let cut_all = async {
            tokio::time::sleep(Duration::from_micros(round % 30 * 300)).await;
            sqlx::query(CUT_ALL).execute(&mut admin).await.unwrap();
        };
        let asked = ids.iter().map(|id| keyed(id, id, "{}")).collect();
        let (bought, ()) = tokio::join!(at_once(&db.store, asked), cut_all);
        for bought in bought {
            match bought {
                Ok(Checkout::Placed(order, _)) => drop(answered.insert(order.order_id.to_string())),
                Ok(Checkout::Replayed(_)) => panic!("the key was not used before"),
                Err(CheckoutError::Store(StoreError::Unavailable { .. })) => cut += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    println!("{} checkouts were answered, {cut} were cut", answered.len());
    assert!(cut > 0 && !answered.is_empty());
    // The old store's pool may still hold connections that were cut.
    let store = Store::new(&db.url, StoreOptions::default()).unwrap();
    let known: HashSet<String> = sqlx::query_scalar::<_, String>("SELECT order_id FROM orders")
        .fetch_all(store.pool())
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert!(answered.is_subset(&known), "every answered order is there");
    let halves = "SELECT count(*) FROM orders o FULL JOIN idempotency_keys k USING (order_id)
                  LEFT JOIN LATERAL (SELECT count(*) FROM order_items i WHERE i.order_id = o.order_id) AS items ON true
                  LEFT JOIN carts c ON c.session_id = split_part(k.key, E'\\x1f', 1)
                  WHERE o.order_id IS NULL OR k.order_id IS NULL OR items.count = 0 OR cardinality(c.product_ids) > 0";
    assert_eq!(count(&store, halves).await, 0, "order, items, key and emptied cart stand or fall together");
    let kept = "SELECT count(*) FROM carts c WHERE cardinality(product_ids) = 0
                AND NOT EXISTS (SELECT FROM orders o WHERE o.session_id = c.session_id)";
    assert_eq!(count(&store, kept).await, 0, "no cart was emptied for nothing");
}

#[tokio::test]
async fn the_error_is_retryable_while_the_database_is_down() {
    let store = Store::new("postgres://x:secret@127.0.0.1:1/x", StoreOptions::default()).unwrap();
    let error = store.cart(&session("s")).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let bad = Store::new("postgres://x:secret@127.0.0.1:99999/x", StoreOptions::default()).unwrap_err();
    assert!(!bad.is_retryable() && !bad.to_string().contains("secret"), "{bad}");
}

const CUT_ALL: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

async fn store_lines(store: &Store, session_id: &str) -> Option<usize> {
    Some(store.cart(&session(session_id)).await.ok()?.lines.len())
}

async fn at_once(store: &Store, requests: Vec<CheckoutRequest>) -> Vec<Result<Checkout, CheckoutError>> {
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(requests.len()));
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                store.checkout(&request, ten).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
