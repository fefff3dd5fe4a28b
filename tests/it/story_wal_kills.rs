//! `kill -9` of the shop and its database at every step of the reader's first start and of `cdc repair-slot`.
//!
//! The steps are listed in one place, [`Step::ALL`]; each test goes through its list and says which steps it hit.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use kartshoppe::sources::wal::Step;

use crate::support::place::{Place, on_each_log};
use crate::support::wal_story::BreakableShop;

on_each_log!(at length:
    everything_dies_at_each_step_of_the_first_start,
    everything_dies_at_each_step_of_a_repair,
    a_repair_halts_for_tests_only,
);

/// The reader hangs at the step, with everything before it done and nothing after it; then everything is killed.
async fn everything_dies_at_each_step_of_the_first_start(place: Place) {
    let mut shop = BreakableShop::open(place, "api,inventory").await;
    shop.buy("PROD_0001", true).await;
    let mut hit = Vec::new();
    for step in Step::ALL {
        shop.arm(step.target(), "hang").await;
        shop.start_role("cdc").await;
        // Committing and what follows needs a row to commit.
        shop.buy("PROD_0002", true).await;
        shop.until_struck(step.target()).await;
        hit.push(step);
        let stored = shop.server.command(&["cdc", "status", "--json"]).output().unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&stored.stdout).unwrap();
        let has_begun = matches!(step, Step::Begun | Step::Checked | Step::Streaming | Step::Committing | Step::Committed);
        assert_eq!(!stored["position"].is_null(), has_begun, "{step:?}: {stored}");
        shop.kill_everything();
        shop.server.resume().await;
    }
    println!("killed at: {}", hit.iter().map(|step| step.name()).collect::<Vec<_>>().join(", "));
    assert_eq!(hit, Step::ALL);
    shop.start_role("cdc").await;
    shop.buy("PROD_0003", true).await;
    shop.everything_settles_once().await;
}

/// The slot is lost, orders come, and the repair dies with the database at each of its steps.
async fn everything_dies_at_each_step_of_a_repair(place: Place) {
    let mut shop = BreakableShop::open(place, "api,inventory,cdc").await;
    shop.buy("PROD_0001", true).await;
    shop.everything_settles_once().await;
    let mut hit = Vec::new();
    for step in Step::OF_REPAIR {
        let (status, body) = shop.server.operate("/admin/roles/cdc/stop", &serde_json::Value::Null).await;
        assert_eq!(status, 200, "{body}");
        shop.drop_slot().await;
        shop.buy("PROD_0002", true).await;
        shop.server.terminate();

        let mut repair = shop.server.command(&["cdc", "repair-slot", "--halt-at", step.name()]);
        let mut repair = repair.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(repair.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        assert_eq!(said, format!("halted at {}", step.name()));
        hit.push(step);
        repair.kill().unwrap();
        repair.wait().unwrap();
        shop.kill_database();

        let again = shop.server.command(&["cdc", "repair-slot"]).output().unwrap();
        assert!(again.status.success(), "{step:?}: {}", String::from_utf8_lossy(&again.stderr));
        shop.server.resume().await;
        shop.buy("PROD_0003", true).await;
        shop.everything_settles_once().await;
    }
    println!("killed at: {}", hit.iter().map(|step| step.name()).collect::<Vec<_>>().join(", "));
    assert_eq!(hit, Step::OF_REPAIR);
}

async fn a_repair_halts_for_tests_only(place: Place) {
    let shop = BreakableShop::open(place, "api,inventory").await;
    let halt = |step: &str| {
        let mut command = shop.server.command(&["cdc", "repair-slot", "--halt-at", step]);
        command.env("KARTSHOPPE__FAULTS__ENABLED", "false").output().unwrap()
    };
    for (step, said) in
        [("fenced", "KARTSHOPPE__FAULTS__ENABLED=true allows it"), ("streaming", "the steps are fenced, slot-made")]
    {
        let refused = halt(step);
        assert!(!refused.status.success());
        let words = String::from_utf8_lossy(&refused.stderr);
        assert!(words.contains(said), "{words}");
    }
}

impl BreakableShop {
    /// As a failover or an operator's mistake would; the backend of the reader that was stopped may need a moment.
    async fn drop_slot(&self) {
        let gone = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'kartshoppe' AND active";
        self.until("no reader has the slot", async || self.count(gone).await == 0).await;
        let admin = kartshoppe::store::private_server::urls(self.server.data()).unwrap().unwrap().admin;
        let admin = sqlx::PgPool::connect(&admin).await.unwrap();
        sqlx::query("SELECT pg_drop_replication_slot('kartshoppe')").execute(&admin).await.unwrap();
        admin.close().await;
    }
}
