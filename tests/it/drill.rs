//! The drill itself, as anyone runs it: the short plan on the real program, and what it says of a plan that is none.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn drill(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
    command.arg("drill").arg("--folder").arg(folder).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
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
fn a_plan_that_is_none_is_told_and_starts_nothing() {
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
