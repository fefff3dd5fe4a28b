//! Injects one fault after another, and measures after each how long the shop takes to sell again.

use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::database::DrillDatabase;
use super::operator::Operator;
use super::plan::Plan;
use super::record::DrillRecord;
use super::report::DrillReport;
use super::schedule::{Fault, STORM_KILLS, STORM_SLOW_PRODUCTS, faults};
use super::shop::{DrilledShop, Seat};
use super::shoppers::Crowd;
use super::storefront::{Said, Storefront};
use crate::telemetry::alarms::Cause;

/// An armed fault that strikes nothing within this time is removed.
const TTL: Duration = Duration::from_secs(3);
/// How long a storm waits for a product to be slow; without orders none is.
const SLOW_WITHIN: Duration = Duration::from_millis(200);
const BETWEEN_STORM_KILLS: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A request made during a fault may still fail this long after it: connections and calls that time out late.
const ECHO: Duration = Duration::from_secs(8);
/// How long filling the catalogue may take at the first start.
const FILLED_WITHIN: Duration = Duration::from_secs(60);
/// The log messages of a process that was fenced, and how soon after SIGCONT they must appear.
const FENCED: [&str; 2] = ["fenced", "the group has removed this process"];
const FENCED_WITHIN: Duration = Duration::from_secs(15);
const STEADY_CANARIES: usize = 3;

/// Injects faults, with access to what shows their effects.
pub struct Striker<'a> {
    pub plan: &'a Plan,
    pub crowd: &'a Crowd,
    pub operator: &'a Operator,
    pub database: &'a DrillDatabase,
    pub record: &'a DrillRecord,
    pub storefront: &'a Storefront,
}

/// The result of a fault.
pub(super) struct Hit {
    /// Number of targets that were struck.
    pub struck: u64,
    /// Items between SQL commit and outcome at that moment.
    pub in_flight: i64,
    /// When recovery began.
    pub from: Instant,
    /// The cause of the alarm that must be over soon after recovery.
    pub alarm: Option<Cause>,
}

impl Hit {
    pub(super) fn new(struck: u64, in_flight: i64, from: Instant) -> Self {
        Self { struck, in_flight, from, alarm: None }
    }

    /// The alarm of this cause must be cleared soon after recovery.
    pub(super) fn until_over(self, cause: Cause) -> Self {
        Self { alarm: Some(cause), ..self }
    }
}

impl Striker<'_> {
    /// Whether the shop is complete and sells by both paths before any fault.
    ///
    /// # Errors
    /// The reason why not.
    pub async fn steady(&self, within: Duration) -> Result<(), String> {
        let (deadline, whole) = (Instant::now() + FILLED_WITHIN, self.record.catalogue.len() + Plan::retired().len());
        loop {
            let shown = match self.storefront.products().await {
                Said::Yes(state) => state["products"].as_array().map_or(0, Vec::len),
                Said::No(_) | Said::Unclear => 0,
            };
            if shown == whole {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("{shown} of {whole} products after {FILLED_WITHIN:?}"));
            }
            tokio::time::sleep(LOOK_EVERY * 4).await;
        }
        for _ in 0..STEADY_CANARIES {
            for by_wal in [false, true] {
                let path = if by_wal { "through the WAL" } else { "directly" };
                let served = self.crowd.canary(by_wal, Instant::now(), within).await;
                served.ok_or_else(|| format!("an order that is published {path} is not settled within {within:?}"))?;
            }
        }
        Ok(())
    }

    /// Injects every fault of the schedule. Returns the reason if it was stopped early.
    pub async fn strike_all(
        &self,
        shop: &mut DrilledShop,
        report: &mut DrillReport,
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
            let hit = match self.strike(fault, shop).await {
                Ok(hit) => hit,
                Err(error) => return Some(format!("{fault} could not be carried out: {error:#}")),
            };
            let recovery = self.recovered(hit.from).await;
            match shop.died() {
                Ok(None) => {}
                Ok(Some(how)) => return Some(format!("after {fault} {how}")),
                Err(error) => return Some(format!("after {fault} it is unknown whether the shop is running: {error:#}")),
            }
            let Some(recovery) = recovery else {
                return Some(format!("sick: nothing was sold for {:?} after {fault}", self.plan.sick_after));
            };
            if let Some(cause) = hit.alarm {
                self.over(cause).await;
            }
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

    async fn strike(&self, fault: &Fault, shop: &mut DrilledShop) -> anyhow::Result<Hit> {
        // PostgreSQL may still be recovering from an earlier fault: then nothing is known to be in flight.
        let in_flight = self.database.open_items().await.unwrap_or(0);
        let from = Instant::now();
        match fault {
            Fault::Actor { target, kind, count } => return self.strike_actors(target, kind, *count, in_flight).await,
            Fault::Storm { products } => return self.storm(fault, *products).await,
            Fault::Role { role, pause } => {
                self.operator.role(role, "stop").await?;
                tokio::time::sleep(*pause).await;
                self.operator.role(role, "start").await?;
            }
            Fault::ProcessKill(seat) => {
                shop.at(*seat)?.kill().await?;
                // The database survives the kill: the open items can be counted exactly.
                let in_flight = self.database.open_items().await?;
                shop.at(*seat)?.start().await?;
                return Ok(Hit::new(1, in_flight, from));
            }
            Fault::ProcessStop(seat) => {
                shop.at(*seat)?.terminate().await?;
                shop.at(*seat)?.start().await?;
            }
            Fault::Freeze { seat, time } => return self.freeze(*seat, *time, shop, in_flight).await,
            Fault::BrokerKill => {
                shop.broker()?.kill().await?;
                let in_flight = self.database.open_items().await?;
                shop.broker()?.resume().await?;
                return Ok(Hit::new(1, in_flight, from));
            }
            Fault::PostgresKill => self.database.end(Signal::KILL).await?,
            Fault::PostgresRestart => self.database.end(Signal::INT).await?,
            Fault::ConnectionCut => {
                let cut = self.database.cut_connections().await?;
                return Ok(Hit::new(u64::try_from(cut).unwrap_or(0).min(1), in_flight, from));
            }
            Fault::LogMoved => return self.move_log(shop, in_flight).await,
            Fault::DiskFull => return self.fill_disk(shop, in_flight).await,
            Fault::OutputUnread => return self.leave_unread(shop, in_flight).await,
            Fault::PagesTrickle => return self.trickle(shop, in_flight).await,
            Fault::ForeignMember => return self.foreign_member(shop).await,
            Fault::PolicyChanged => return self.change_policy(shop, in_flight).await,
        }
        Ok(Hit::new(1, in_flight, from))
    }

    /// On Kafka another process takes over meanwhile, and the frozen one must notice: otherwise the freeze proves nothing.
    async fn freeze(&self, seat: Seat, time: Duration, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let (has_broker, process) = (shop.broker().is_ok(), shop.at(seat)?);
        let said = process.said();
        self.record.frozen();
        let frozen = process.freeze(time).await;
        self.record.thawed();
        frozen?;
        let (from, deadline) = (Instant::now(), Instant::now() + FENCED_WITHIN);
        while has_broker && !process.said_since(said, &FENCED) {
            if Instant::now() > deadline {
                return Ok(Hit::new(0, in_flight, from));
            }
            tokio::time::sleep(LOOK_EVERY * 20).await;
        }
        Ok(Hit::new(1, in_flight, from))
    }

    async fn strike_actors(&self, target: &str, kind: &str, count: u32, in_flight: i64) -> anyhow::Result<Hit> {
        let at_once = self.operator.arm(target, kind, count, TTL).await?;
        ensure!(at_once <= u64::from(count), "{target}: more strikes than asked for");
        let from = Instant::now();
        let left = self.all_struck(u64::from(count) - at_once).await?;
        let struck = u64::from(count) - left;
        // A target that is struck while it handles a message has work by definition; an idle one may be killed too.
        let in_flight = if struck > at_once { in_flight.max(1) } else { in_flight };
        Ok(Hit::new(struck, in_flight, from))
    }

    /// A batch gathers behind a slow commit, is delayed by slow products, aborted because an actor above it dies, and redelivered to
    /// products that die on it.
    async fn storm(&self, fault: &Fault, products: u32) -> anyhow::Result<Hit> {
        let (from, mut at_once) = (Instant::now(), 0);
        for target in STORM_KILLS {
            for (slow, count) in [("event-log", 1), ("product", STORM_SLOW_PRODUCTS)] {
                self.operator.arm(slow, "slow", count, TTL).await?;
                self.one_struck().await?;
            }
            at_once += self.operator.arm(target, "kill", 1, TTL).await?;
            self.operator.arm("product", "kill", products, TTL).await?;
            tokio::time::sleep(BETWEEN_STORM_KILLS).await;
        }
        let in_flight = self.database.open_items().await.unwrap_or(0);
        let armed = fault.strikes();
        let struck = armed - self.all_struck(armed - at_once).await?;
        Ok(Hit::new(struck, if struck > at_once { in_flight.max(1) } else { in_flight }, from))
    }

    /// Waits until one of the armed faults strikes, such as the slow product: for a moment after that its batch is under way.
    async fn one_struck(&self) -> anyhow::Result<()> {
        let (armed, deadline) = (self.operator.left().await?, Instant::now() + SLOW_WITHIN);
        while self.operator.left().await? >= armed.max(1) && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until all armed faults have struck or timed out; returns how many are left, and removes them.
    async fn all_struck(&self, armed: u64) -> anyhow::Result<u64> {
        let deadline = Instant::now() + TTL;
        let mut left = armed;
        while left > 0 && Instant::now() < deadline {
            left = self.operator.left().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.operator.clear().await?;
        Ok(left)
    }

    /// How long after `from` new orders are settled by both paths. `None` if the shop is sick.
    pub(super) async fn recovered(&self, from: Instant) -> Option<Duration> {
        let limit = self.plan.sick_after;
        let (direct, by_wal) = tokio::join!(self.crowd.canary(false, from, limit), self.crowd.canary(true, from, limit));
        Some(direct?.max(by_wal?))
    }
}
