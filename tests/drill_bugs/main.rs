//! Runs the drill against a shop with each seeded bug (`src/bugs.rs`), and against the same shop without one, and prints what was
//! found. Fails if a bug is not found, if what found it names nothing, or if a plan is not clean without a bug.
//!
//! `cargo test --features seeded-bugs --test drill_bugs -- [BUG…]` runs all, or those that are named; `make drill-bugs` does so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed run stops where it fails; what it found is printed"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use kartshoppe::bugs::{Bug, VARIABLE};
use kartshoppe::telemetry::promises::{BROKEN, Promise};
use serde_json::Value;
use tokio::time::Instant;

/// The plan that brings a bug out: what must be broken, and what load, for it to show.
fn plan_of(bug: Bug) -> &'static str {
    match bug {
        Bug::PositionBeforeOutputs
        | Bug::KeyNotKept
        | Bug::WalResumesAtSlot
        | Bug::RemovedComesBack
        | Bug::TrackerPositionFirst => "kills",
        Bug::CartOutsideOrder => "carts",
        Bug::EventStateRestart | Bug::OutcomeTwice | Bug::AbortKeepsProducts | Bug::RewindForgotten => "storms",
        // Few batches of a storm bring it out.
        Bug::StaleAttempt => "attempts",
        Bug::RescueWithoutProbe | Bug::FlipBeforeOutcome | Bug::ExpiryIgnored => "rescue",
        Bug::PublishedAgain | Bug::OlderStateShown => "unclear",
        Bug::FrameDropped | Bug::CursorClaimsTooMuch | Bug::ResumeForgotten => "pages",
        Bug::OrderUpdateLost => "news",
        Bug::WalAcknowledgedEarly => "wal",
        Bug::ReminderLeavesEarly => "stale",
    }
}

/// The promise whose breach the shop itself must notice with this bug, and count on `/metrics`.
fn promise_of(bug: Bug) -> Option<Promise> {
    match bug {
        Bug::OutcomeTwice | Bug::PublishedAgain => Some(Promise::OneOutcome),
        Bug::ExpiryIgnored => Some(Promise::Expiry),
        Bug::FlipBeforeOutcome => Some(Promise::NoFlipAfterOutcome),
        Bug::FrameDropped => Some(Promise::EveryChangeSent),
        Bug::OlderStateShown => Some(Promise::NewestShown),
        Bug::CursorClaimsTooMuch => Some(Promise::CursorProven),
        Bug::WalAcknowledgedEarly => Some(Promise::WalAcknowledgedAfterCommit),
        Bug::PositionBeforeOutputs
        | Bug::EventStateRestart
        | Bug::RescueWithoutProbe
        | Bug::StaleAttempt
        | Bug::AbortKeepsProducts
        | Bug::KeyNotKept
        | Bug::CartOutsideOrder
        | Bug::WalResumesAtSlot
        | Bug::ReminderLeavesEarly
        | Bug::RemovedComesBack
        | Bug::OrderUpdateLost
        | Bug::TrackerPositionFirst
        | Bug::RewindForgotten
        | Bug::ResumeForgotten => None,
    }
}

/// The promises that the shop's log calls broken.
fn broken_promises(log: &str) -> Vec<&'static str> {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(BROKEN)).collect();
    let names = Promise::ALL.map(Promise::as_str);
    names.into_iter().filter(|name| lines.iter().any(|line| line.contains(&format!("\"{name}\"")))).collect()
}

/// What a drill said.
struct Found {
    bug: Option<Bug>,
    plan: &'static str,
    verdict: String,
    /// Breaches of the drill's record and of the ledger, with how often.
    named: Vec<String>,
    /// What the shop noticed itself.
    promises: Vec<&'static str>,
    notes: Vec<String>,
    took: Duration,
}

impl Found {
    /// Whether it is as it should be: clean without a bug, named with one.
    fn is_right(&self) -> bool {
        match self.bug {
            None => self.verdict == "held" && self.promises.is_empty(),
            Some(bug) => {
                let is_noticed = promise_of(bug).is_none_or(|promise| self.promises.contains(&promise.as_str()));
                self.verdict != "held" && !self.named.is_empty() && is_noticed
            }
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bug = self.bug.map_or("-", Bug::name);
        let right = if self.is_right() { "" } else { " **WRONG**" };
        let Self { plan, verdict, named, promises, took, .. } = self;
        let (named, promises) = (named.join(", "), promises.join(", "));
        write!(f, "| {bug} | {plan} | {verdict}{right} | {named} | {promises} | {:.0} |", took.as_secs_f64())
    }
}

fn drill(bug: Option<Bug>, plan: &'static str) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("drill");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/drill_bugs/plans/{plan}.toml"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
    command.arg("drill").arg("--folder").arg(&place).arg("--plan").arg(file).arg("--json");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env(VARIABLE, bug.map_or("", Bug::name));
    let begun = Instant::now();
    let output = command.output().unwrap();
    let took = begun.elapsed();
    let told = String::from_utf8_lossy(&output.stderr);
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        // No verdict is no finding, whatever went wrong.
        return Found {
            bug,
            plan,
            verdict: "no report".to_owned(),
            named: Vec::new(),
            promises: Vec::new(),
            notes: vec![told.into_owned()],
            took,
        };
    };
    let log = std::fs::read_to_string(place.join("shop.log")).unwrap();
    let seeded = format!("seeded bug {}:", bug.map_or("", Bug::name));
    assert_eq!(bug.is_some(), log.contains(&seeded), "whether the shop had its bug");
    let count = |(name, value): (&String, &Value)| format!("{name} {}", value.as_u64().unwrap_or_default());
    let record = report["breaches"].as_object().into_iter().flatten();
    let record = record.map(|(name, broken)| count((name, &broken["count"])));
    let ledger = report["ledger"]["counts"].as_object().into_iter().flatten().map(|found| format!("ledger: {}", count(found)));
    let notes = report["notes"].as_array().into_iter().flatten().map(ToString::to_string).collect();
    let verdict = report["outcome"].as_str().unwrap_or_default().to_owned();
    let promises = broken_promises(&log);
    let found = Found { bug, plan, verdict, named: record.chain(ledger).collect(), promises, notes, took };
    if found.is_right() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/delete-work.sh");
        assert!(Command::new(script).arg(folder.path()).status().unwrap().success());
    } else {
        let kept = folder.keep();
        eprintln!("kept in {}\n{told}\n{report:#}", kept.display());
    }
    found
}

fn main() -> ExitCode {
    let asked: BTreeSet<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let unknown: Vec<_> = asked.iter().filter(|name| Bug::ALL.iter().all(|bug| bug.name() != **name)).collect();
    assert!(unknown.is_empty(), "there are no bugs {unknown:?}");
    let bugs: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| asked.is_empty() || asked.contains(bug.name())).collect();
    let plans: BTreeSet<&str> = bugs.iter().map(|bug| plan_of(*bug)).collect();
    let runs = plans.into_iter().map(|plan| (None, plan)).chain(bugs.into_iter().map(|bug| (Some(bug), plan_of(bug))));
    println!("| bug | plan | verdict | named by | noticed by the shop | s |\n| --- | --- | --- | --- | --- | ---: |");
    let (mut passed, mut failed) = (0, 0);
    for (bug, plan) in runs {
        let found = drill(bug, plan);
        println!("{found}");
        found.notes.iter().for_each(|note| eprintln!("{}: {note}", bug.map_or(plan, Bug::name)));
        if found.is_right() { passed += 1 } else { failed += 1 }
    }
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
