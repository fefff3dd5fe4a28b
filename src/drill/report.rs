//! The report of a drill: as JSON for programs, as Markdown for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::plan::Plan;
use super::record::Breach;
use super::schedule::Fault;

/// The result. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillOutcome {
    /// Every promise was kept.
    Held = 0,
    Broken = 1,
    /// The shop did not sell before any fault.
    NotSteady = 3,
    /// Stopped early: the shop was sick for too long, or on request.
    Aborted = 4,
}

/// The complete report of a drill.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillReport {
    pub outcome: DrillOutcome,
    pub plan: Plan,
    /// Orders that were promised.
    pub orders: u64,
    /// Orders requested with publication through the WAL.
    pub by_wal: u64,
    pub items: u64,
    /// Units that were allocated.
    pub units: i64,
    /// Frames that pages received.
    pub frames: u64,
    /// Buyers whose page was notified that the order is settled.
    pub told: u64,
    /// Number of answers by kind.
    pub answers: BTreeMap<String, u64>,
    pub breaches: BTreeMap<Breach, Broken>,
    pub faults: BTreeMap<String, Strikes>,
    /// The ledger checker's report.
    pub ledger: Value,
    pub notes: Vec<String>,
}

/// A broken promise.
#[derive(Debug, Clone, Serialize)]
pub struct Broken {
    pub count: u64,
    /// The first cases.
    pub cases: BTreeSet<String>,
}

/// All strikes of one fault.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Strikes {
    pub tried: u64,
    /// Those that struck a target.
    pub struck: u64,
    /// Those that struck a target while work was in flight: the others do not count.
    pub counted: u64,
    /// From each strike to the first later order settled by each path, in milliseconds, sorted.
    pub recovery_ms: Vec<u64>,
}

impl Strikes {
    /// The recovery time in milliseconds that the share `part` of the recoveries did not exceed.
    #[must_use]
    pub fn percentile(&self, part: f64) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let place = (part * (self.recovery_ms.len().saturating_sub(1)) as f64).round() as usize;
        self.recovery_ms.get(place).copied()
    }
}

impl DrillReport {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            outcome: DrillOutcome::Aborted,
            plan: plan.clone(),
            orders: 0,
            by_wal: 0,
            items: 0,
            units: 0,
            frames: 0,
            told: 0,
            answers: BTreeMap::new(),
            breaches: BTreeMap::new(),
            faults: BTreeMap::new(),
            ledger: Value::Null,
            notes: Vec::new(),
        }
    }

    /// Adds a strike.
    pub fn strike(&mut self, fault: &Fault, struck: u64, in_flight: i64, recovery: Duration) {
        let strikes = self.faults.entry(fault.to_string()).or_default();
        strikes.tried += fault.strikes();
        strikes.struck += struck;
        if struck == 0 {
            // No target was struck: there is nothing to recover from.
            return;
        }
        if in_flight > 0 {
            strikes.counted += struck;
        }
        let recovery = u64::try_from(recovery.as_millis()).unwrap_or(u64::MAX);
        let place = strikes.recovery_ms.partition_point(|known| *known < recovery);
        strikes.recovery_ms.insert(place, recovery);
    }

    /// Adds the broken promises.
    pub fn take_breaches(&mut self, breaches: BTreeMap<Breach, (u64, BTreeSet<String>)>) {
        self.breaches = breaches.into_iter().map(|(breach, (count, cases))| (breach, Broken { count, cases })).collect();
    }

    /// Whether every promise was kept, by the drill's record and by the ledger.
    #[must_use]
    pub fn holds(&self) -> bool {
        let ledger_holds = self.ledger["counts"].as_object().is_some_and(serde_json::Map::is_empty);
        self.breaches.is_empty() && ledger_holds
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.outcome {
            DrillOutcome::Held => "held",
            DrillOutcome::Broken => "BROKEN",
            DrillOutcome::NotSteady => "not steady at the start",
            DrillOutcome::Aborted => "aborted",
        };
        writeln!(f, "# Drill: {verdict} (seed {})\n", self.plan.seed)?;
        writeln!(
            f,
            "{} orders ({} requested through the WAL) with {} items and {} units; {} frames to {} pages; {} buyers were notified.\n",
            self.orders, self.by_wal, self.items, self.units, self.frames, self.plan.load.pages, self.told
        )?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        self.promises(f)?;
        self.strikes(f)?;
        writeln!(f, "\n| answer | times |\n| --- | ---: |")?;
        self.answers.iter().try_for_each(|(answer, count)| writeln!(f, "| {answer} | {count} |"))
    }
}

impl DrillReport {
    fn promises(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| must never happen | found |\n| --- | ---: |")?;
        for (breach, sentence) in Breach::ALL {
            writeln!(f, "| {sentence} | {} |", self.breaches.get(&breach).map_or(0, |broken| broken.count))?;
        }
        let ledger = self.ledger["counts"].as_object();
        let found =
            ledger.map_or("not asked".to_owned(), |counts| counts.values().filter_map(Value::as_u64).sum::<u64>().to_string());
        writeln!(f, "| breaches of the ledger (`kartshoppe check`) | {found} |\n")?;
        for broken in self.breaches.values() {
            broken.cases.iter().try_for_each(|case| writeln!(f, "- {case}"))?;
        }
        for breach in self.ledger["breaches"].as_array().into_iter().flatten().take(20) {
            writeln!(f, "- ledger: {breach}")?;
        }
        Ok(())
    }

    fn strikes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n| fault | tried | struck | counted | recovery p50 ms | p95 | max |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        let mut all = Strikes::default();
        for (fault, strikes) in &self.faults {
            row(f, fault, strikes)?;
            all.tried += strikes.tried;
            all.struck += strikes.struck;
            all.counted += strikes.counted;
            all.recovery_ms.extend(&strikes.recovery_ms);
        }
        all.recovery_ms.sort_unstable();
        row(f, "all", &all)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, strikes: &Strikes) -> fmt::Result {
    let ms = |part: f64| strikes.percentile(part).map_or("-".to_owned(), |ms| ms.to_string());
    let Strikes { tried, struck, counted, .. } = strikes;
    writeln!(f, "| {name} | {tried} | {struck} | {counted} | {} | {} | {} |", ms(0.5), ms(0.95), ms(1.0))
}
