//! An operator's mistake: records on `products` that the inventory did not write, on keys whose states it keeps there.
//!
//! The states below count and are written again, so that compaction drops the foreign records and not the states.

use std::collections::BTreeMap;

use kartshoppe::log::Record;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers;
use kartshoppe::wire::topics::product_record::{self, Restored};

use crate::support::engine::{ROLE, Setup, Shop, eventually, ids, order};
use crate::support::log::{read_all, record};
use crate::support::place::{Place, on_each_log};

on_each_log!(a_product_keeps_its_state_under_foreign_records);

const PRODUCTS: usize = 6;
/// This many of them get foreign records.
const OVERLAID: usize = 4;

async fn a_product_keeps_its_state_under_foreign_records(place: Place) {
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.stock(ids(PRODUCTS), 10).await;
    shop.append((0..PRODUCTS).map(|n| order(n, &format!("P{n:05}"), 1)).collect()).await;
    shop.settle().await;
    let before = last_states(&shop).await;
    assert_eq!(before.len(), PRODUCTS);
    assert!(before.values().all(|known| *known == Some((9, 2))), "{before:?}");

    shop.root.stop(ROLE).await.unwrap();
    let stranger = |id: &str, value: &str| record(Topic::Products, id, value);
    let product = |id: &str| format!(r#"{{"productId":"{id}","name":"Other","price":1.5,"inventory":500}}"#);
    shop.append(vec![
        stranger("P00000", "rubbish"),
        stranger("P00001", &product("P00001")),
        stranger("P00002", &product("P00005")),
        stranger("P00003", &product("P00003")),
        stranger("P00003", "{}"),
    ])
    .await;
    assert_eq!(last_states(&shop).await.values().filter(|known| known.is_none()).count(), OVERLAID);
    shop.root.start(ROLE).await.unwrap();
    // No input triggers it.
    eventually(|| async { last_states(&shop).await == before }).await;
    shop.compact().await;
    shop.append(vec![order(PRODUCTS, "P00004", 1)]).await;
    shop.settle().await;
    assert_eq!(written_again(&shop).await, OVERLAID, "each once");
    shop.close().await;

    let shop = Shop::open(&place, &Setup::default()).await;
    shop.append((0..OVERLAID).map(|n| order(100 + n, &format!("P{n:05}"), 1)).collect()).await;
    shop.settle().await;
    let after = last_states(&shop).await;
    for (n, id) in ids(PRODUCTS).enumerate() {
        assert_eq!(after[&id], Some(if n <= OVERLAID { (8, 3) } else { (9, 2) }), "{id}");
    }
    assert_eq!(written_again(&shop).await, OVERLAID, "a restart that finds nothing above them writes none");
    if let Place::Embedded(_) = place {
        shop.ledger().await.check_conservation(PRODUCTS, 10, PRODUCTS + 1 + OVERLAID);
    }
    shop.close().await;
}

/// Stock and version of the last record of each key, which is what compaction leaves; `None` where it is not ours.
async fn last_states(shop: &Shop) -> BTreeMap<String, Option<(i64, u64)>> {
    let key = |record: &Record| String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
    let ours = |record: &Record| match product_record::decode(record, 0) {
        Ok(Restored::Ours(state)) => Some((state.product.stock.units(), state.revision.version)),
        Ok(Restored::Foreign(_) | Restored::Removed(..)) | Err(_) => None,
    };
    read_all(&*shop.log, Topic::Products).await.iter().map(|record| (key(record), ours(record))).collect()
}

/// Records that name a record of `products` as their cause.
async fn written_again(shop: &Shop) -> usize {
    let causes = read_all(&*shop.log, Topic::Products).await;
    causes
        .iter()
        .filter(|record| record.headers.get_str(headers::CAUSE).is_some_and(|cause| cause.starts_with("products/")))
        .count()
}
