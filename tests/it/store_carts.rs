//! Carts in PostgreSQL: the rules have their own tests in the cart; here they are stored, shared and swept.

use kartshoppe::domain::ids::UserId;
use kartshoppe::store::CartError;

use crate::support::log::within;
use crate::support::postgres::{count, database, product, session};
use crate::support::server::{Options, Server};

#[tokio::test]
async fn an_unknown_session_has_an_empty_cart_that_is_not_kept() {
    let db = database().await;
    let cart = db.store.cart(&session("nobody")).await.unwrap();
    assert_eq!((cart.lines.len(), cart.version), (0, 0));
    assert!(cart.created_at_ms > 1_700_000_000_000);
    db.store.clear_cart(&session("nobody")).await.unwrap();
    db.store.remove_from_cart(&session("nobody"), &product("P")).await.unwrap();
    db.store.set_cart_quantity(&session("nobody"), None, &product("P"), 0).await.unwrap();
    assert_eq!(count(&db.store, "SELECT count(*) FROM carts").await, 0);
}

#[tokio::test]
async fn what_is_added_set_and_removed_is_what_is_read() {
    let db = database().await;
    let (s, user) = (session("s"), UserId::new("ann").unwrap());
    db.store.add_to_cart(&s, Some(&user), &product("B"), 2).await.unwrap();
    db.store.add_to_cart(&s, None, &product("A"), 1).await.unwrap();
    let returned = db.store.add_to_cart(&s, None, &product("B"), 3).await.unwrap();
    let read = db.store.cart(&s).await.unwrap();
    assert_eq!(returned, read);
    let lines: Vec<_> = read.lines.iter().map(|line| (line.product_id.as_str(), line.quantity.units())).collect();
    assert_eq!(lines, [("B", 5), ("A", 1)]);
    assert_eq!((read.user_id, read.version), (Some(user), 3));
    db.store.set_cart_quantity(&s, None, &product("A"), 7).await.unwrap();
    db.store.remove_from_cart(&s, &product("B")).await.unwrap();
    let read = db.store.cart(&s).await.unwrap();
    assert_eq!(read.lines.iter().map(|line| line.quantity.units()).collect::<Vec<_>>(), [7]);
    assert!(db.store.clear_cart(&s).await.unwrap().lines.is_empty());
    assert!(matches!(db.store.add_to_cart(&s, None, &product("A"), 1_001).await, Err(CartError::QuantityOutOfRange { .. })));
    assert!(db.store.cart(&s).await.unwrap().lines.is_empty());
}

#[tokio::test]
async fn no_add_is_lost_when_many_come_at_once() {
    let db = database().await;
    let adds = (0..40).map(|number| {
        let store = db.store.clone();
        tokio::spawn(
            async move { store.add_to_cart(&session("s"), None, &product(&format!("P{}", number % 4)), 1).await.unwrap() },
        )
    });
    for add in adds.collect::<Vec<_>>() {
        add.await.unwrap();
    }
    let cart = db.store.cart(&session("s")).await.unwrap();
    assert_eq!(cart.lines.iter().map(|line| line.quantity.units()).collect::<Vec<_>>(), [10; 4]);
    assert_eq!(cart.version, 40);
}

#[tokio::test]
async fn old_carts_and_keys_are_swept_and_young_ones_stay() {
    let db = database().await;
    for id in ["old", "touched", "young"] {
        db.store.add_to_cart(&session(id), None, &product("P"), 1).await.unwrap();
    }
    let age = "UPDATE carts SET created_at = now() - interval '31 days', updated_at = CASE session_id WHEN 'old' \
               THEN now() - interval '31 days' ELSE now() END WHERE session_id <> 'young'";
    sqlx::query(age).execute(db.store.pool()).await.unwrap();
    let keys = "INSERT INTO idempotency_keys (key, fingerprint, order_id, created_at) \
                VALUES ('a', '', 'o', now() - interval '25 hours'), ('b', '', 'o', now() - interval '23 hours')";
    sqlx::query(keys).execute(db.store.pool()).await.unwrap();
    assert_eq!(db.store.sweep().await.unwrap(), 2);
    assert_eq!(count(&db.store, "SELECT count(*) FROM carts WHERE session_id <> 'old'").await, 2);
    assert_eq!(count(&db.store, "SELECT count(*) FROM idempotency_keys WHERE key = 'b'").await, 1);
}

/// A running shop sweeps, also more than one statement deletes.
#[tokio::test]
async fn a_running_shop_sweeps_old_carts_and_keys() {
    let db = database().await;
    let old = "INSERT INTO carts (session_id, created_at, updated_at)
                   SELECT 's' || n, now() - interval '31 days', now() - interval '31 days' FROM generate_series(1, 12000) AS n;
               INSERT INTO idempotency_keys (key, fingerprint, order_id, created_at)
                   SELECT 'k' || n, '', 'o' || n, now() - interval '25 hours' FROM generate_series(1, 6000) AS n;
               INSERT INTO carts (session_id) VALUES ('young');
               INSERT INTO idempotency_keys (key, fingerprint, order_id) VALUES ('young', '', 'o');";
    sqlx::raw_sql(old).execute(db.store.pool()).await.unwrap();
    let options = Options::default()
        .set("KARTSHOPPE__POSTGRES__DATABASE_URL", &db.url)
        .set("KARTSHOPPE__CDC__DATABASE_URL", &db.cdc_url)
        .set("KARTSHOPPE__ROLES", "api");
    let _server = Server::launch(options);
    within(async {
        while count(&db.store, "SELECT (SELECT count(*) FROM carts) + (SELECT count(*) FROM idempotency_keys)").await > 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(count(&db.store, "SELECT count(*) FROM carts WHERE session_id = 'young'").await, 1);
    assert_eq!(count(&db.store, "SELECT count(*) FROM idempotency_keys WHERE key = 'young'").await, 1);
}
