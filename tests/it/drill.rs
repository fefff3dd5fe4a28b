//! The drill itself, as anyone runs it: the short plan on the real program, and each of its verdicts with its exit code.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use kartshoppe::data_dir::running_server;
use kartshoppe::store::private_server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

const SHORT: &str = include_str!("../../src/drill/plans/short.toml");

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
    command.arg("drill").arg("--folder").arg(folder).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn drill(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// A running drill with almost no faults: the test decides what happens to its shop.
struct Quiet {
    _folder: tempfile::TempDir,
    place: PathBuf,
    child: Option<Child>,
}

impl Quiet {
    /// A plan of this duration, with these lines replaced.
    fn start(duration: &str, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = SHORT.to_owned();
        for (key, value) in [("duration", duration), ("sick_after", "\"10s\""), ("actor_rounds", "0"), ("role_stops", "0")]
            .iter()
            .chain(&[("process_kills", "0"), ("process_stops", "0"), ("postgres_kills", "0"), ("connection_cuts", "2")])
            .chain(changes)
        {
            let line = plan.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
            plan = plan.replace(&line, &format!("{key} = {value}"));
        }
        plan = plan.replace("[load]", "settle_within = \"5s\"\n[load]");
        let file = folder.path().join("plan.toml");
        std::fs::write(&file, plan).unwrap();
        let place = folder.path().join("drill");
        let mut command = command(&place, &["--plan", file.to_str().unwrap(), "--json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { _folder: folder, place, child: Some(child) }
    }

    fn shop(&self) -> PathBuf {
        self.place.join("shop")
    }

    /// Waits until the shop has settled an order, as a database connection shows.
    async fn sells(&self) -> PgConnection {
        loop {
            if let Ok(Some(urls)) = private_server::urls(&self.shop())
                && let Ok(mut connection) = PgConnection::connect(&urls.database).await
                && let Ok(sold) = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM orders").fetch_one(&mut connection).await
                && sold > 20
            {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its exit code and its report.
    fn end(mut self) -> (Option<i32>, Value) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
        (output.status.code(), report)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }
}

#[tokio::test]
async fn a_broken_promise_is_exit_1() {
    let drill = Quiet::start("\"4s\"", &[]);
    let mut connection = drill.sells().await;
    let nobodys = "INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('nobodys', 'nobody', 1, 1)";
    sqlx::query(nobodys).execute(&mut connection).await.unwrap();
    let (code, report) = drill.end();
    assert_eq!((code, &report["outcome"]), (Some(1), &"broken".into()), "{report:#}");
    assert_eq!(report["breaches"]["phantom"]["count"], 1);
    assert!(report["breaches"]["phantom"]["cases"].to_string().contains("nobodys"));
}

#[test]
fn a_shop_that_does_not_sell_is_exit_3() {
    let (code, report) =
        Quiet::start("\"4s\"", &[("KARTSHOPPE__ORDERS__PUBLISH_TIMEOUT", "\"2s\"\nKARTSHOPPE__ROLES = \"api,inventory\"")]).end();
    assert_eq!((code, &report["outcome"]), (Some(3), &"not-steady".into()), "{report:#}");
    assert!(report["notes"][0].as_str().unwrap().contains("through the WAL"), "{}", report["notes"]);
    assert_eq!(report["faults"], serde_json::json!({}), "nothing is broken in such a shop");
}

#[tokio::test]
async fn a_drill_on_a_sick_shop_stops_with_exit_4() {
    let drill = Quiet::start("\"2m\"", &[("connection_cuts", "30")]);
    drill.sells().await;
    let admin = running_server(&drill.shop()).unwrap().admin;
    let stop =
        reqwest::Client::new().post(format!("http://{admin}/admin/roles/cdc/stop")).header("x-kartshoppe-operator", "test");
    assert!(stop.send().await.unwrap().status().is_success());
    let (code, report) = drill.end();
    assert_eq!((code, &report["outcome"]), (Some(4), &"aborted".into()), "{report:#}");
    assert!(
        report["notes"].to_string().contains("sick: nothing was sold for 10s after cut SQL connections"),
        "{}",
        report["notes"]
    );
    assert!(report["breaches"]["unsettled"]["count"].as_u64().unwrap() > 0, "the verdict comes all the same");
}

#[tokio::test]
async fn a_stopped_drill_gives_its_verdict_with_exit_4() {
    for signal in [Signal::INT, Signal::TERM] {
        let drill = Quiet::start("\"5m\"", &[]);
        drill.sells().await;
        let pid = drill.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
        let (code, report) = drill.end();
        assert_eq!((code, &report["outcome"]), (Some(4), &"aborted".into()), "{signal:?}: {report:#}");
        assert_eq!(report["notes"], serde_json::json!(["stopped on request"]));
        assert_eq!((&report["breaches"], &report["ledger"]["counts"]), (&serde_json::json!({}), &serde_json::json!({})));
        assert!(report["orders"].as_u64().unwrap() > 20);
    }
}

#[test]
fn the_short_plan_holds() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("drill");
    let output = drill(&place, &["--plan", "short", "--json"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{}", std::fs::read_to_string(place.join("report.md")).unwrap());
    assert_eq!(report["outcome"], "held");
    assert_eq!(report["breaches"], serde_json::json!({}));
    assert_eq!(report["ledger"]["counts"], serde_json::json!({}));
    assert!(report["ledger"]["figures"]["events"].as_i64().unwrap() > 0, "the checker has read the log");
    assert!(report["orders"].as_u64().unwrap() > 100, "{}", report["orders"]);
    assert!(report["byWal"].as_u64().unwrap() > 10, "both paths");
    let faults = report["faults"].as_object().unwrap();
    for name in ["SIGKILL shop", "SIGTERM shop", "SIGKILL PostgreSQL", "cut SQL connections", "kill product", "panic committer"] {
        assert!(faults[name]["struck"].as_u64().unwrap() > 0, "{name}: {}", faults[name]);
    }
    assert!(!place.join("shop").exists(), "a shop that held is cleared away");
}

#[test]
fn an_invalid_plan_is_refused_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    let short = include_str!("../../src/drill/plans/short.toml");
    for (text, said) in [
        (short.replace("wal_share = 0.3", "wal_share = 3"), "load.wal_share: 0 to 1"),
        (short.replace("shoppers = 6", "shopers = 6"), "unknown field `shopers`"),
        ("seed =".to_owned(), "cannot be read"),
    ] {
        std::fs::write(&plan, text).unwrap();
        let place = folder.path().join("place");
        let output = drill(&place, &["--plan", plan.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{told}");
        assert!(!place.exists());
    }
    let output = drill(folder.path(), &["--plan", "short"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"), "its folder is its own");
    assert_eq!(output.status.code(), Some(1));
    let output = drill(&folder.path().join("place"), &["--plan", "nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
