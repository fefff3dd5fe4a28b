//! Dead letters are replayed at most once, and never where an order item has its outcome.

use std::io::Write;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kartshoppe::wire::topics::Topic;
use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::log::read_all;
use crate::support::place::{Place, on_each_log};
use crate::support::raw::PATIENCE;
use crate::support::server::Server;

const BROKEN: &str = r#"{"productId":"LETTER_1","name":"Letter","price":"dear","inventory":3}"#;
const MENDED: &str = r#"{"productId":"LETTER_1","name":"Letter","price":1.50,"inventory":3}"#;

on_each_log!(
    a_letter_is_replayed_once_as_a_corrected_copy,
    an_answered_item_is_never_replayed,
    a_crash_leaves_it_unclear_and_the_log_decides,
    a_process_killed_between_claim_and_publish_repeats_nothing,
    only_an_outcome_that_is_there_stands_in_the_way,
);

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.http.get(server.admin(path)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// Appends what cannot be used, and gives the path of its dead letter.
async fn letter(server: &Server, topic: &str, value: &str) -> String {
    let known = letters(server).await.len();
    let draft = json!({"valueBase64": STANDARD.encode(value), "key": Value::Null});
    assert_eq!(server.operate(&format!("/admin/topics/{topic}/records"), &draft).await.0, 200);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let letters = letters(server).await;
        if letters.len() > known {
            let mine = letters.iter().find(|letter| letter["text"] == value).unwrap();
            return format!("/admin/dead-letters/{}/{}", mine["partition"], mine["offset"]);
        }
        assert!(tokio::time::Instant::now() < deadline, "no dead letter\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn letters(server: &Server) -> Vec<Value> {
    let groups = get(server, "/admin/dead-letters/groups").await;
    groups["groups"].as_array().unwrap().iter().flat_map(|group| group["letters"].as_array().unwrap().clone()).collect()
}

async fn copies(place: &Place, server: &Server, topic: Topic) -> usize {
    let all = read_all(&*place.log_of(server).await, topic).await;
    all.iter().filter(|record| record.headers.get("kartshoppe-replay-of").is_some()).count()
}

async fn a_letter_is_replayed_once_as_a_corrected_copy(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let path = letter(&server, "product-updates", BROKEN).await;
    let replay = format!("{path}/replay");
    let again = server.operate(&replay, &json!({})).await;
    assert_eq!((again.0, &again.1["errors"][0]["field"]), (400, &json!("value")), "it would be a dead letter again");
    let mended: Value = serde_json::from_str(MENDED).unwrap();
    let both = json!({"valueBase64": STANDARD.encode(MENDED)});
    // Twenty at once: one of them appends.
    let tries = (0..20).map(|_| server.operate(&replay, &both));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 200 | 409)), "{answers:?}");
    let late = server.operate(&replay, &json!({"value": mended})).await;
    assert_eq!((late.0, &late.1["code"]), (409, &json!("already_replayed")), "{late:?}");
    let shown = get(&server, &path).await;
    assert_eq!((&shown["replay"]["state"], &shown["replay"]["operator"]), (&json!("yes"), &json!("test")), "{shown}");
    assert_eq!(copies(&place, &server, Topic::ProductUpdates).await, 1);
    let copy = read_all(&*place.log_of(&server).await, Topic::ProductUpdates).await.pop().unwrap();
    assert_eq!((copy.key.as_deref(), copy.value.as_deref()), (Some(b"LETTER_1".as_slice()), Some(MENDED.as_bytes())));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while server.http.get(server.url("/api/ecommerce/product/LETTER_1")).send().await.unwrap().status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("an operator asked for a change: POST /admin/dead-letters/"), "{}", server.log_tail());
    let (partition, offset) = (shown["partition"].to_string(), shown["offset"].to_string());
    let listed = server.command(&["dead-letters", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("replayed as product-updates/"), "{listed:?}");
    let refused = server.command(&["dead-letters", "replay", &partition, &offset]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("replayed before"), "{refused:?}");

    let second = letter(&server, "product-updates", &BROKEN.replace("LETTER_1", "LETTER_2")).await;
    let mut command = server.command(&["dead-letters", "replay"]);
    let mut child = command
        .args(second.trim_start_matches("/admin/dead-letters/").split('/'))
        .arg("--corrected")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MENDED.replace("LETTER_1", "LETTER_2").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("replayed as product-updates/"), "{output:?}");
    let missing = server.operate("/admin/dead-letters/0/99999999/replay", &json!({})).await;
    assert_eq!(missing.0, 404);
}

async fn an_answered_item_is_never_replayed(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let named = r#"{"orderId":"o-1","orderItemId":"i-1","productId":"PROD_0001","quantity":"two"}"#;
    let path = letter(&server, "order-events", named).await;
    let mended = json!({"value": {"orderId": "o-1", "orderItemId": "i-1", "productId": "PROD_0001", "quantity": 2}});
    for order in [json!({}), mended, json!({"value": {"orderId": "o-1", "productId": "PROD_0001", "quantity": 2}})] {
        let (status, answer) = server.operate(&format!("{path}/replay"), &order).await;
        assert_eq!((status, &answer["code"], &answer["offer"]), (409, &json!("already_answered"), &json!("order again")));
    }
    // One that names no item may be corrected, but not into one that has its outcome.
    let path = letter(&server, "order-events", r#"{"orderId":"o-2","productId":"PROD_0001","quantity":0}"#).await;
    let other = json!({"value": {"orderId": "o-1", "orderItemId": "i-1", "productId": "PROD_0001", "quantity": 2}});
    assert_eq!(server.operate(&format!("{path}/replay"), &other).await.1["code"], "already_answered");
    let (status, answer) = server
        .operate(&format!("{path}/replay"), &json!({"value": {"orderId": "o-2", "productId": "PROD_0001", "quantity": 2}}))
        .await;
    assert_eq!(status, 200, "{answer}");
    // Two letters that are corrected into one item, at once: one of them is replayed.
    let value = |quantity: i32| format!(r#"{{"orderId":"o-3","productId":"PROD_0001","quantity":{quantity}}}"#);
    let (one, two) = (letter(&server, "order-events", &value(0)).await, letter(&server, "order-events", &value(-1)).await);
    let item = json!({"value": {"orderId": "o-3", "orderItemId": "i-3", "productId": "PROD_0001", "quantity": 1}});
    let (one, two) = (format!("{one}/replay"), format!("{two}/replay"));
    let (first, second) = tokio::join!(server.operate(&one, &item), server.operate(&two, &item));
    let mut codes = [first.0, second.0];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409], "{first:?} {second:?}");
    let huge = letter_of_many_bytes(&server).await;
    assert_eq!(server.operate(&format!("{huge}/replay"), &json!({"value": {}})).await.1["code"], "value_cut");
    assert_eq!(copies(&place, &server, Topic::OrderEvents).await, 2);
}

/// A dead letter whose value was too large to keep whole.
async fn letter_of_many_bytes(server: &Server) -> String {
    let draft = json!({"valueBase64": STANDARD.encode("x".repeat(950_000))});
    assert_eq!(server.operate("/admin/topics/product-updates/records", &draft).await.0, 200);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(cut) = letters(server).await.iter().find(|letter| letter["refused"] == "value_cut") {
            return format!("/admin/dead-letters/{}/{}", cut["partition"], cut["offset"]);
        }
        assert!(tokio::time::Instant::now() < deadline, "no dead letter\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn a_crash_leaves_it_unclear_and_the_log_decides(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let (lost, done) = (letter(&server, "product-updates", BROKEN).await, letter(&server, "product-updates", "{").await);
    let mut database = sqlx::PgConnection::connect(&server.database_url()).await.unwrap();
    // A process that died right after its claim.
    let log_id = place.log_of(&server).await.id().await.unwrap();
    let (partition, offset) = lost.trim_start_matches("/admin/dead-letters/").split_once('/').unwrap();
    let claim = "INSERT INTO dead_letter_replays (log_id, partition, record_offset, operator, copy_topic)
        VALUES ($1, $2::int, $3::bigint, 'dead', 'product-updates')";
    let claim = sqlx::query(claim).bind(&log_id).bind(partition.parse::<i32>().unwrap()).bind(offset.parse::<i64>().unwrap());
    claim.execute(&mut database).await.unwrap();
    // One that dies between the append and writing down where the copy is.
    sqlx::raw_sql(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$;
         CREATE TRIGGER hold BEFORE UPDATE ON dead_letter_replays FOR EACH ROW EXECUTE FUNCTION hold()",
    )
    .execute(&mut database)
    .await
    .unwrap();
    let url = server.admin(&format!("{done}/replay"));
    let mended: Value = serde_json::from_str(MENDED).unwrap();
    let call = server.http.post(url).header("X-KartShoppe-Operator", "test").json(&json!({"value": mended})).send();
    let asked = tokio::spawn(call);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while copies(&place, &server, Topic::ProductUpdates).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "{}", server.log_tail());
    }
    server.kill();
    assert!(!asked.await.unwrap().is_ok_and(|answer| answer.status() == 200), "it died before its answer");
    drop(database);
    server.resume().await;
    let mut database = sqlx::PgConnection::connect(&server.database_url()).await.unwrap();
    sqlx::raw_sql("DROP TRIGGER hold ON dead_letter_replays").execute(&mut database).await.unwrap();

    let states: Vec<Value> = letters(&server).await.iter().map(|letter| letter["replay"]["state"].clone()).collect();
    assert_eq!(states, [json!("unclear"), json!("unclear")], "neither has been resolved yet");
    for _ in 0..2 {
        let (status, answer) = server.operate(&format!("{lost}/replay"), &json!({"value": mended})).await;
        assert_eq!((status, &answer["code"]), (409, &json!("unclear")), "{answer}");
    }
    assert_eq!(get(&server, &lost).await["replay"]["state"], "unclear");
    let (status, answer) = server.operate(&format!("{done}/replay"), &json!({"value": mended})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("already_replayed")), "the log has its copy: {answer}");
    assert_eq!(get(&server, &done).await["replay"]["state"], "yes");
    assert_eq!(copies(&place, &server, Topic::ProductUpdates).await, 1, "nothing is appended a second time");
}

/// The claim is durable, nothing is published, and the process is gone: its statement waits in PostgreSQL for a lock of this test, and
/// ends there after the process.
async fn a_process_killed_between_claim_and_publish_repeats_nothing(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let path = letter(&server, "product-updates", BROKEN).await;
    let mut database = sqlx::PgConnection::connect(&server.database_url()).await.unwrap();
    sqlx::raw_sql(
        "CREATE FUNCTION await_test() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock(17); RETURN new; END $$;
         CREATE TRIGGER await_test BEFORE INSERT ON dead_letter_replays FOR EACH ROW EXECUTE FUNCTION await_test();
         SELECT pg_advisory_lock(17)",
    )
    .execute(&mut database)
    .await
    .unwrap();
    let mended: Value = serde_json::from_str(MENDED).unwrap();
    let call = server.http.post(server.admin(&format!("{path}/replay"))).header("X-KartShoppe-Operator", "test");
    let asked = tokio::spawn(call.json(&json!({"value": mended})).send());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut until_counted = async |what: &str, sql: &'static str| {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut database).await.unwrap() == 0 {
            assert!(tokio::time::Instant::now() < deadline, "no {what}");
        }
    };
    until_counted("claim waits", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    server.kill();
    assert!(!asked.await.unwrap().is_ok_and(|answer| answer.status() == 200), "it died before its answer");
    until_counted("lock was held", "SELECT pg_advisory_unlock(17)::int::bigint").await;
    until_counted("claim is there", "SELECT count(*) FROM dead_letter_replays").await;
    sqlx::raw_sql("DROP TRIGGER await_test ON dead_letter_replays").execute(&mut database).await.unwrap();
    drop(database);
    server.resume().await;

    let shown = letters(&server).await.into_iter().next().unwrap();
    assert_eq!(shown["replay"]["state"], "unclear", "{shown}");
    for _ in 0..2 {
        let (status, answer) = server.operate(&format!("{path}/replay"), &json!({"value": mended})).await;
        assert_eq!((status, &answer["code"]), (409, &json!("unclear")), "{answer}");
        server.kill();
        server.resume().await;
    }
    let refused =
        server.command(&["dead-letters", "replay"]).args(path["/admin/dead-letters/".len()..].split('/')).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(get(&server, &path).await["replay"]["state"], "unclear");
    assert_eq!(copies(&place, &server, Topic::ProductUpdates).await, 0, "no start and no request publishes it");
}

async fn only_an_outcome_that_is_there_stands_in_the_way(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let named = r#"{"orderId":"o-9","orderItemId":"i-9","productId":"PROD_0001","quantity":"two"}"#;
    let path = letter(&server, "order-events", named).await;
    // The list searches nothing, so it does not claim what only the log knows.
    let listed = letters(&server).await.into_iter().find(|letter| letter["orderId"] == "o-9").unwrap();
    assert_eq!((&listed["refused"], &listed["productId"]), (&Value::Null, &json!("PROD_0001")), "{listed}");
    // The letter itself is looked for, and names the outcome's place.
    let shown = get(&server, &path).await;
    assert_eq!(shown["refused"], "already_answered", "{shown}");
    let outcome = shown["outcome"].as_str().unwrap();
    let record = get(&server, &format!("/admin/records/{outcome}")).await;
    assert_eq!(record["record"]["value"]["orderItemId"], "i-9", "{record}");
    let (status, refused) = server.operate(&format!("{path}/replay"), &json!({})).await;
    assert_eq!((status, &refused["offer"], &refused["outcome"]), (409, &json!("order again"), &shown["outcome"]), "{refused}");
    assert_eq!(refused["productId"], "PROD_0001");

    // An order of the shop: PostgreSQL knows its outcome, so the list does.
    let shopper = crate::support::shopper::Shopper::new("answered");
    shopper.add(&server, "PROD_0001", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    let order = shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    let (order_id, item) = (&order["orderId"], &order["items"][0]["orderItemId"]);
    let broken = json!({"orderId": order_id, "orderItemId": item, "productId": "PROD_0001", "quantity": "many"}).to_string();
    letter(&server, "order-events", &broken).await;
    let listed = letters(&server).await.into_iter().find(|letter| letter["orderId"] == *order_id).unwrap();
    assert_eq!(listed["refused"], "already_answered", "{listed}");
}
