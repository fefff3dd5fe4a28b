//! `/metrics` of a real process under a short story: every family is there, once, with help, type and unit, in both formats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use kartshoppe::telemetry::families::{self, Family};
use kartshoppe::telemetry::metrics::Kind;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::page::Page;
use crate::support::place::{Place, on_each_log};
use crate::support::raw::PATIENCE;
use crate::support::server::Server;
use crate::support::shopper::Shopper;

on_each_log!(at length: every_family_answers_after_a_short_story);

/// Seconds on a broker.
mod reader_lag {
    use super::{Place, on_each_log};

    on_each_log!(no_reader_stays_behind_once_its_cause_is_gone);

    async fn no_reader_stays_behind_once_its_cause_is_gone(place: Place) {
        super::no_reader_stays_behind_once_its_cause_is_gone(place).await;
    }
}

/// What the families of one scrape say.
struct Scrape {
    text: String,
}

impl Scrape {
    async fn of(server: &Server) -> Self {
        let asked = server.http.get(server.admin("/metrics")).header(ACCEPT, "text/plain").send().await.unwrap();
        Self { text: asked.text().await.unwrap() }
    }

    /// The sum of the samples whose line begins with the name and holds all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let samples = self.text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).reduce(|sum, one| sum + one)
    }

    fn has_samples(&self, family: &Family) -> bool {
        let name = if family.kind == Kind::Histogram { format!("{}_count", family.name) } else { family.exposed_name() };
        self.sum(&name, &[]).is_some()
    }
}

/// Waits until a scrape says so.
async fn until(server: &Server, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = tokio::time::Instant::now() + PATIENCE * 3;
    loop {
        let scrape = Scrape::of(server).await;
        if is_so(&scrape) {
            return scrape;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {what}: {}\n{}", scrape.text, server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn every_family_answers_after_a_short_story(place: Place) {
    let is_kafka = matches!(place, Place::Kafka { .. });
    let server = Server::start_filled(place.options()).await;
    let mut page = Page::open(&server.socket_url("session-watching")).await;
    let before = page.stock("PROD_0003").unwrap();
    for use_cdc in [false, true] {
        let shopper = Shopper::new(if use_cdc { "by-wal" } else { "directly" });
        shopper.add(&server, "PROD_0003", 1).await;
        let (status, order) = shopper.checkout(&server, use_cdc).await;
        assert_eq!(status, 200, "{order}");
        shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    }
    page.until("the stock to fall", |page| page.stock("PROD_0003") == Some(before - 2)).await;
    let letter = json!({"key": "x", "value": "not an order"});
    assert_eq!(server.operate("/admin/topics/order-events/records", &letter).await.0, 200);

    let scrape = until(&server, "both orders settled, the letter dead, every reader at the end", |scrape| {
        let at_end = scrape.sum("kartshoppe_reader_lag_records", &[]) == Some(0.0);
        at_end
            && scrape.sum("kartshoppe_orders_total", &[]) == Some(2.0)
            && scrape.sum("kartshoppe_dead_letters_total", &["topic=\"order-events\""]) == Some(1.0)
            && scrape.sum("kartshoppe_page_told_seconds_count", &["frame=\"product\""]) >= Some(1.0)
            && scrape.sum("kartshoppe_orders_pending", &[]) == Some(0.0)
            && scrape.sum("kartshoppe_cdc_lag_bytes", &[]).is_some()
            && (!is_kafka || scrape.sum("kafka_clients", &["producer"]) >= Some(1.0))
    })
    .await;
    every_family_has_samples(&scrape, is_kafka);
    nothing_is_counted_twice(&scrape);
    the_formats_agree(&server).await;
    measure(&server).await;
}

/// An alert's record is the last of its topic: on Kafka the marker of its transaction lies behind it, and is no lag.
async fn no_reader_stays_behind_once_its_cause_is_gone(place: Place) {
    let server = Server::start_filled(place.options().set("KARTSHOPPE__HEALTH__STALLED_AFTER", "4s")).await;
    let mut product = server.get("/api/ecommerce/product/PROD_0003").await;
    product["inventory"] = json!(2);
    let record = json!({"key": "PROD_0003", "value": product});
    // The second time proves that every reader was measured after the alert.
    for _ in 0..2 {
        assert_eq!(server.operate("/admin/roles/inventory/stop", &Value::Null).await.0, 200);
        assert_eq!(server.operate("/admin/topics/product-updates/records", &record).await.0, 200);
        let inventory = ["reader=\"inventory\"", "topic=\"product-updates\""];
        until(&server, "the inventory behind", |scrape| {
            scrape.sum("kartshoppe_reader_lag_records", &inventory) >= Some(1.0)
                && scrape.sum("kartshoppe_reader_lag_seconds", &inventory) > Some(0.0)
        })
        .await;
        assert_eq!(server.operate("/admin/roles/inventory/start", &Value::Null).await.0, 200);
        until(&server, "every reader at the end, that of the alert too", |scrape| {
            let lags = ["kartshoppe_reader_lag_records", "kartshoppe_reader_lag_seconds"];
            scrape.sum("kartshoppe_alerts_total", &[]) >= Some(1.0)
                && lags.iter().all(|family| scrape.sum(family, &[]) == Some(0.0))
        })
        .await;
    }
}

/// Families that a sound shop may leave without a sample, and those of the other log.
fn every_family_has_samples(scrape: &Scrape, is_kafka: bool) {
    let may_be_empty =
        ["kartshoppe_alarm", "kartshoppe_actor_restarts", "kartshoppe_actor_recovery_seconds", "kartshoppe_cdc_safe_bytes"];
    // Without a collector there is nothing to count.
    let is_exporters = |name: &str| name.starts_with("kartshoppe_telemetry_spans_");
    let others = |name: &str| {
        is_exporters(name)
            || if is_kafka {
                matches!(name, "kartshoppe_log_bytes" | "kartshoppe_log_wal_bytes")
            } else {
                name.starts_with("kafka_")
            }
    };
    let silent: Vec<_> = families::ALL
        .iter()
        .filter(|family| !may_be_empty.contains(&family.name) && !others(family.name) && !scrape.has_samples(family))
        .map(|family| family.name)
        .collect();
    assert!(silent.is_empty(), "{silent:?}\n{}", scrape.text);
}

fn nothing_is_counted_twice(scrape: &Scrape) {
    assert_eq!(scrape.sum("kartshoppe_orders_placed_total", &[]), Some(2.0));
    assert_eq!(scrape.sum("kartshoppe_order_settle_seconds_count", &[]), Some(2.0));
    assert_eq!(scrape.sum("kartshoppe_order_items_total", &[]), Some(1.0), "one item was published directly");
    assert_eq!(scrape.sum("kartshoppe_order_outcomes_total", &[]), Some(2.0));
    assert_eq!(scrape.sum("kartshoppe_promise_violations_total", &[]), Some(0.0), "{}", scrape.text);
    assert_eq!(scrape.sum("kartshoppe_ready", &[]), Some(1.0));
    for secret in ["PROD_0", "session-", "by-wal", "SESSION"] {
        assert!(!scrape.text.contains(secret), "{secret}: {}", scrape.text);
    }
}

/// Every family of the list is there once in each format, and nothing that is not in the list.
async fn the_formats_agree(server: &Server) {
    let listed: BTreeMap<String, &Family> = families::ALL.iter().map(|family| (family.exposed_name(), *family)).collect();
    let text = Scrape::of(server).await.text;
    let mut seen = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let family = listed.get(name).unwrap_or_else(|| panic!("{name} is not in the list of families"));
        assert_eq!(kind, family.kind.as_str(), "{name}");
        assert!(seen.insert(name), "{name} is there twice");
        assert!(text.contains(&format!("# HELP {name} {}.\n", family.help)), "{name}");
    }
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "only OpenMetrics has them");

    let asked = server.http.get(server.admin("/metrics")).header(ACCEPT, "application/openmetrics-text; version=1.0.0");
    let answer = asked.header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
    assert!(answer.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
    let (packed, mut open) = (answer.bytes().await.unwrap(), String::new());
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut open).unwrap();
    assert!(open.ends_with("# EOF\n"));
    let named = |text: &str| text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(named(&open), named(&text));
    for family in seen.iter().map(|name| listed[*name]) {
        let unit = format!("# UNIT {} {}\n", family.name, family.unit);
        assert_eq!(open.contains(&unit), matches!(family.unit, "seconds" | "bytes"), "{unit}");
    }
}

/// What a scrape costs, for people to read.
async fn measure(server: &Server) {
    const TIMES: u32 = 50;
    let cpu = async |server: &Server| Scrape::of(server).await.sum("process_cpu_seconds_total", &[]).unwrap();
    let (cpu_before, started) = (cpu(server).await, tokio::time::Instant::now());
    let mut bytes = 0;
    for _ in 0..TIMES {
        bytes = Scrape::of(server).await.text.len();
    }
    let (took, used) = (started.elapsed() / TIMES, (cpu(server).await - cpu_before) / f64::from(TIMES) * 1000.0);
    println!("a scrape: {bytes} bytes, {took:?}, {used:.2} ms of processor time");
}
