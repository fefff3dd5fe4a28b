//! Striking: one fault after another, each followed by the question how long the shop takes to sell again.

use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::operator::Operator;
use super::plan::Plan;
use super::process::Process;
use super::record::Record;
use super::report::Report;
use super::schedule::{Fault, faults};
use super::shoppers::Crowd;
use super::storefront::{Said, Storefront};

/// An armed fault waits so long for somebody to strike; then it was for nothing.
const TTL: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What was asked under a fault may fail so long after it: connections and calls that time out late.
const ECHO: Duration = Duration::from_secs(8);
/// How long the catalogue may take to come in at the first start.
const FILLED_WITHIN: Duration = Duration::from_secs(60);
const STEADY_CANARIES: usize = 3;

/// Breaks things. Holds what it needs to see what happens.
pub struct Striker<'a> {
    pub plan: &'a Plan,
    pub crowd: &'a Crowd,
    pub operator: &'a Operator,
    pub database: &'a Database,
    pub record: &'a Record,
    pub storefront: &'a Storefront,
}

/// What a strike hit.
struct Hit {
    /// Strikes that met somebody.
    struck: u64,
    /// Items between SQL commit and outcome at that moment.
    in_flight: i64,
    /// When recovery began.
    from: Instant,
}

impl Striker<'_> {
    /// Whether the shop is complete and sells by both paths, before anything is broken.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn steady(&self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + FILLED_WITHIN;
        loop {
            let shown = match self.storefront.products().await {
                Said::Yes(state) => state["products"].as_array().map_or(0, Vec::len),
                Said::No(_) | Said::Unclear => 0,
            };
            if shown == self.record.catalogue.len() {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("{shown} of {} products after {FILLED_WITHIN:?}", self.record.catalogue.len()));
            }
            tokio::time::sleep(LOOK_EVERY * 4).await;
        }
        for _ in 0..STEADY_CANARIES {
            for by_wal in [false, true] {
                let path = if by_wal { "through the WAL" } else { "directly" };
                let served = self.crowd.canary(by_wal, Instant::now(), within).await;
                served.ok_or_else(|| format!("an order that goes {path} is not settled within {within:?}"))?;
            }
        }
        Ok(())
    }

    /// Strikes with everything on the schedule. Why it was broken off, if it was.
    pub async fn strike_all(
        &self,
        process: &mut Process,
        report: &mut Report,
        tell: &(dyn Fn(&str) + Sync),
        stop: &CancellationToken,
    ) -> Option<String> {
        let schedule = faults(self.plan);
        let (begun, count) = (Instant::now(), u32::try_from(schedule.len()).unwrap_or(u32::MAX).max(1));
        let pace = self.plan.duration / count;
        let stopped = || Some("stopped on request".to_owned());
        for (number, fault) in (1_u32..).zip(&schedule) {
            let due = begun + pace * (number - 1);
            if stop.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                return stopped();
            }
            self.record.struck();
            let hit = match self.strike(fault, process).await {
                Ok(hit) => hit,
                Err(error) => return Some(format!("{fault} could not be carried out: {error:#}")),
            };
            let Some(recovery) = self.recovered(hit.from).await else {
                return Some(format!("sick: nothing was sold for {:?} after {fault}", self.plan.sick_after));
            };
            self.record.calm_down_after(ECHO);
            let (struck, in_flight) = (hit.struck, hit.in_flight);
            report.strike(fault, struck, in_flight, recovery);
            tell(&format!(
                "{number:4}/{count} {fault}: struck {struck}, {in_flight} items in flight, sells again after {recovery:.0?}"
            ));
        }
        let rest = begun + self.plan.duration;
        if stop.run_until_cancelled(tokio::time::sleep_until(rest)).await.is_none() { stopped() } else { None }
    }

    async fn strike(&self, fault: &Fault, process: &mut Process) -> anyhow::Result<Hit> {
        // PostgreSQL may still be coming back from the last strike of somebody else: then nothing is known to be in flight.
        let in_flight = self.database.open_items().await.unwrap_or(0);
        let from = Instant::now();
        match fault {
            Fault::Actor { target, kind, count } => return self.strike_actors(target, kind, *count, in_flight).await,
            Fault::Role { role, pause } => {
                self.operator.role(role, "stop").await?;
                tokio::time::sleep(*pause).await;
                self.operator.role(role, "start").await?;
            }
            Fault::ProcessKill => {
                process.kill().await?;
                // The database lives on: what the kill hit can be counted exactly.
                let in_flight = self.database.open_items().await?;
                process.start().await?;
                return Ok(Hit { struck: 1, in_flight, from });
            }
            Fault::ProcessStop => {
                process.terminate().await?;
                process.start().await?;
            }
            Fault::Freeze { time } => {
                process.freeze(*time).await?;
                return Ok(Hit { struck: 1, in_flight, from: Instant::now() });
            }
            Fault::PostgresKill => self.database.end(Signal::KILL).await?,
            Fault::PostgresRestart => self.database.end(Signal::INT).await?,
            Fault::ConnectionCut => {
                let cut = self.database.cut_connections().await?;
                return Ok(Hit { struck: u64::try_from(cut).unwrap_or(0).min(1), in_flight, from });
            }
        }
        Ok(Hit { struck: 1, in_flight, from })
    }

    async fn strike_actors(&self, target: &str, kind: &str, count: u32, in_flight: i64) -> anyhow::Result<Hit> {
        let at_once = self.operator.arm(target, kind, count, TTL).await?;
        ensure!(at_once <= u64::from(count), "{target}: more strikes than asked for");
        let (from, deadline) = (Instant::now(), Instant::now() + TTL);
        let mut left = u64::from(count) - at_once;
        while left > 0 && Instant::now() < deadline {
            left = self.operator.left().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.operator.clear().await?;
        let struck = u64::from(count) - left;
        // Whoever is struck while it handles something has work by definition; an idle one may be killed too.
        let in_flight = if struck > at_once { in_flight.max(1) } else { in_flight };
        Ok(Hit { struck, in_flight, from })
    }

    /// How long after `from` new orders are settled by both paths. `None` if the shop is sick.
    async fn recovered(&self, from: Instant) -> Option<Duration> {
        let limit = self.plan.sick_after;
        let (direct, by_wal) = tokio::join!(self.crowd.canary(false, from, limit), self.crowd.canary(true, from, limit));
        Some(direct?.max(by_wal?))
    }
}
