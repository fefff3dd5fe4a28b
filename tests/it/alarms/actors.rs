//! Actors and roles that stop working.

use kartshoppe::telemetry::alarms::Cause;
use serde_json::{Value, json};

use crate::support::alarm::{all_over, is_over, stands};
use crate::support::page::Page;
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

/// Short time limits, and actors that hang until the test ends them.
fn options() -> Options {
    Options::default()
        .set("KARTSHOPPE__FAULTS__ENABLED", true)
        .set("KARTSHOPPE__SUPERVISION__HANG_AFTER", "10m")
        .set("KARTSHOPPE__SUPERVISION__RESTART_WINDOW", "2s")
        .set("KARTSHOPPE__SUPERVISION__BACKOFF_MAX", "500ms")
        .set("KARTSHOPPE__HEALTH__STALLED_AFTER", "2s")
        .set("KARTSHOPPE__HEALTH__UNSETTLED_AFTER", "1s")
        .set("KARTSHOPPE__ORDERS__PUBLISH_TIMEOUT", "1s")
        .set("KARTSHOPPE__ORDERS__DIRECT_EXPIRY", "2s")
}

async fn arm(server: &Server, target: &str, fault: &str, count: u64) {
    let (status, said) = server.operate("/admin/faults", &json!({"target": target, "fault": fault, "count": count})).await;
    assert_eq!(status, 200, "{said}");
}

/// Adds a product to a cart and optionally checks it out.
async fn shop(server: &Server, name: &str, buy: bool) {
    let shopper = Shopper::new(name);
    shopper.add(server, "PROD_0001", 1).await;
    if buy {
        let (status, order) = shopper.checkout(server, false).await;
        assert_eq!(status, 200, "{order}");
    }
}

/// An actor hangs, an input arrives that it does not handle, and the actor is killed.
async fn hung(target: &str, buy: bool, causes: &[(Cause, &[&str])]) {
    let mut server = Server::start_filled(options()).await;
    let mut page = Page::open(&server.socket_url("session-before")).await;
    shop(&server, "before", buy).await;
    // Every actor is working: a position that never advanced before the hang would not be reported.
    page.until("its cart", |page| page.frames.iter().any(|frame| frame["eventType"] == "SHOPPING_CART")).await;
    arm(&server, target, "hang", 1).await;
    shop(&server, "meanwhile", buy).await;
    for (cause, words) in causes {
        stands(&server, *cause, words).await;
    }
    arm(&server, target, "kill", 1).await;
    let all: Vec<Cause> = causes.iter().map(|(cause, _)| *cause).collect();
    all_over(&mut server, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_committer_raises_the_alarms_of_what_it_stalls() {
    let stalled: &[&str] = &["the inventory stands still", "order-events/", "offset", "check that record"];
    let unsettled: &[&str] = &["order items wait for their outcome", "direct and", "kartshoppe cdc status"];
    hung("committer", true, &[(Cause::InputStalled, stalled), (Cause::ItemsUnsettled, unsettled)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_read_model_raises_the_alarm_of_its_position() {
    hung("catalog-view", true, &[(Cause::CatalogueStalled, &["the read model stands still", "offset"])]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_tracker_raises_the_alarms_of_what_it_stalls() {
    hung(
        "order-tracker",
        true,
        &[(Cause::TrackerStalled, &["order outcomes are not written to PostgreSQL", "inventory-events/"])],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_fan_out_raises_the_alarm_of_its_position() {
    hung("fanout", false, &[(Cause::FanoutStalled, &["pages are not sent cart changes", "shopping-cart-events/"])]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_keeps_failing_raises_an_alarm_until_it_runs_again() {
    let mut server = Server::start_filled(options()).await;
    for (target, role) in [("wal-reader", "cdc"), ("order-tracker", "api"), ("alert-desk", "api")] {
        // The actor ends during its work and then, as its successors receive almost nothing, in starts that fail.
        if target == "alert-desk" {
            arm(&server, target, "start", 14).await;
        }
        arm(&server, target, "kill", if target == "alert-desk" { 1 } else { 14 }).await;
        stands(&server, Cause::RoleFailing, &[&format!("{target} of role {role} keeps failing"), "/admin/actors"]).await;
        all_over(&mut server, &[Cause::RoleFailing, Cause::RoleStarting]).await;
        let log = std::fs::read_to_string(server.log_path()).unwrap();
        let lines = log.lines().filter(|line| line.contains("keeps ending") && line.contains(&format!("\"{target}\"")));
        assert_eq!(lines.count(), 1, "once, however often {target} ended\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_is_down_raises_an_alarm_until_it_is_back() {
    let backoff = |key: &str| format!("KARTSHOPPE__SUPERVISION__BACKOFF_{key}");
    let options = options().set(&backoff("MIN"), "4s").set(&backoff("MAX"), "4s");
    let mut server = Server::start_filled(options).await;
    arm(&server, "alert-desk", "start", 1).await;
    arm(&server, "alert-desk", "kill", 1).await;
    stands(&server, Cause::RoleStarting, &["alert-desk of role api is not running yet"]).await;
    all_over(&mut server, &[Cause::RoleStarting]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_that_is_restoring_raises_an_alarm() {
    let arguments = ["--roles", "inventory"].map(str::to_owned).to_vec();
    let mut server = Server::start(Options { arguments, ..options() }).await;
    arm(&server, "catalog-view", "hang", 1).await;
    let (status, _) = server.operate("/admin/roles/api/start", &Value::Null).await;
    assert_eq!(status, 200);
    stands(&server, Cause::CatalogueRestoring, &["the catalogue is being read", "records"]).await;
    let cleared = server.http.delete(server.admin("/admin/faults")).header("x-kartshoppe-operator", "test").send().await;
    assert!(cleared.unwrap().status().is_success());
    arm(&server, "catalog-view", "kill", 1).await;
    all_over(&mut server, &[Cause::CatalogueRestoring]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_reader_that_does_not_start_raises_an_alarm() {
    let mut server = Server::start_filled(options()).await;
    let (status, _) = server.operate("/admin/roles/cdc/stop", &Value::Null).await;
    assert_eq!(status, 200);
    arm(&server, "wal-reader/looked", "hang", 1).await;
    let (status, _) = server.operate("/admin/roles/cdc/start", &Value::Null).await;
    assert_eq!(status, 200);
    stands(&server, Cause::WalReaderStarting, &["orders are not read from the WAL yet", "is starting"]).await;
    arm(&server, "wal-reader", "kill", 1).await;
    all_over(&mut server, &[Cause::WalReaderStarting, Cause::WalReader]).await;
}

/// The start and the stop of a process: no other alarm is raised in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_and_a_stop_are_reported() {
    let mut server = Server::start_filled(options()).await;
    is_over(&server, Cause::ProcessStarting).await;
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("the process is starting"), "{log}");
    assert!(!log.contains("ERROR"), "a start is no error: {log}");
    // A hung actor prolongs the stop.
    arm(&server, "order-publisher", "hang", 1).await;
    shop(&server, "hangs", true).await;
    server.signal(rustix::process::Signal::TERM);
    let (mut seen, url) = (false, server.admin("/readyz"));
    while let Ok(answer) = server.http.get(&url).send().await {
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
        seen |= status == 503 && body["reasons"] == json!(["the process is stopping"]);
    }
    assert!(seen, "{}", server.log_tail());
    assert_eq!(server.wait().await, Some(0));
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert_eq!(log.matches(&format!("kartshoppe.cause=\"{}\"", Cause::ProcessStopping.as_str())).count(), 1, "{log}");
}

/// No actor's mailbox depth, of any kind, counts messages that are not waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mailbox_is_empty_when_nothing_happens() {
    use kartshoppe::actors::supervision::ActorKind;
    let server = Server::start_filled(options()).await;
    let actors = async || -> Vec<Value> {
        let answer = server.http.get(server.admin("/admin/actors")).send().await.unwrap();
        answer.json::<Value>().await.unwrap().as_array().unwrap().clone()
    };
    for round in 0..20 {
        shop(&server, &format!("round-{round}"), true).await;
        server.http.get(server.admin("/readyz")).send().await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let all = actors().await;
        let waiting: Vec<_> = all.iter().filter(|actor| actor["mailboxDepth"] != 0).cloned().collect();
        // The listener is only asked to stop.
        let works = |actor: &&Value| actor["kind"] != ActorKind::HttpListener.as_str();
        let idle: Vec<_> = all.iter().filter(works).filter(|actor| actor["handled"] == 0).cloned().collect();
        for kind in ActorKind::ALL.into_iter().filter(|kind| *kind != ActorKind::Product) {
            assert!(all.iter().any(|actor| actor["kind"] == kind.as_str()), "no entry of {kind:?}");
        }
        if waiting.is_empty() && idle.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{waiting:#?} wait, {idle:#?} have handled nothing");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
