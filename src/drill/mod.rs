//! The fault drill: buys and injects faults at the same time, keeps its own record of what the shop promised, and gives a
//! verdict.
//!
//! It uses the shop from outside, through HTTP, WebSocket, signals and SQL, and shares no decision with the engine.
//!
//! ```text
//!  plan (seed) ─► steady? ─► shoppers buy, pages watch, a merchant updates ──────► all settled? ─► verdict ─► report
//!                              │ record: what each 2xx promised, each frame           ▲
//!                              └─ faults, one after another: inject ─► a new order settles again (recovery)
//! ```
//! A fault that strikes while no work is in flight does not count. While no fault is active every answer must be a success.

mod broker;
mod buyers;
mod database;
mod faults;
mod merchant;
mod operator;
mod output;
mod pages;
pub mod plan;
mod process;
mod record;
mod report;
mod schedule;
mod shop;
mod shoppers;
mod storefront;
mod surroundings;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::buyers::Buyers;
use self::database::DrillDatabase;
use self::faults::Striker;
use self::operator::Operator;
use self::pages::Gallery;
use self::plan::Plan;
use self::process::ShopProcess;
use self::record::DrillRecord;
pub use self::report::{DrillOutcome, DrillReport};
pub use self::shop::DrilledShop;
use self::shoppers::Crowd;
use self::storefront::Storefront;

/// A shop that sells within this time before any fault is steady.
const STEADY_WITHIN: Duration = Duration::from_secs(5);

/// Paths of a drill's shop.
#[derive(Debug, Clone)]
pub struct DrillPaths {
    /// A directory of its own, made if need be: the shop's data directory and its output.
    pub folder: PathBuf,
    /// The program to run as the shop.
    pub program: PathBuf,
    /// Arguments before `serve` and `check`, such as the configuration folder.
    pub arguments: Vec<String>,
    /// The script that starts and kills a Kafka broker. `None`: the shop runs on the embedded log.
    pub broker: Option<PathBuf>,
}

/// Runs a plan on a shop of its own, to the end. `tell` is called with each line of progress.
///
/// # Errors
/// If the shop cannot be started at all, or the record cannot be judged. A broken promise is no error: it is the report's.
pub async fn run(
    plan: &Plan,
    place: &DrillPaths,
    tell: &(dyn Fn(&str) + Sync),
    stop: CancellationToken,
) -> anyhow::Result<DrillReport> {
    std::fs::create_dir_all(&place.folder).with_context(|| format!("making {}", place.folder.display()))?;
    if plan.faults.full_disks > 0 {
        surroundings::can_be_filled(&place.folder)?;
    }
    let catalogue = plan.catalogue();
    let mut shop = DrilledShop::open(place, plan, &catalogue).await?;
    let result = Drill::new(plan, &shop.main, catalogue).run(&mut shop, tell, stop).await;
    shop.close().await;
    result
}

/// The parts of a running drill.
struct Drill<'a> {
    plan: &'a Plan,
    record: Arc<DrillRecord>,
    storefront: Storefront,
    operator: Operator,
    database: DrillDatabase,
}

impl<'a> Drill<'a> {
    fn new(plan: &'a Plan, process: &ShopProcess, catalogue: plan::Catalogue) -> Self {
        let record = Arc::new(DrillRecord::new(catalogue));
        Self {
            plan,
            storefront: Storefront::new(process.shop_url(), record.clone()),
            operator: Operator::new(process.operators_url()),
            database: DrillDatabase::new(process.data_dir()),
            record,
        }
    }

    async fn run(
        &self,
        shop: &mut DrilledShop,
        tell: &(dyn Fn(&str) + Sync),
        stop: CancellationToken,
    ) -> anyhow::Result<DrillReport> {
        let mut report = DrillReport::new(self.plan);
        let crowd = Arc::new(Crowd::new(self.plan, self.storefront.clone(), self.record.clone()));
        let gallery = Arc::new(Gallery::new(shop.main.pages_url(), self.record.clone()));
        let (buying, watching) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        for place in 0..self.plan.load.pages {
            tasks.spawn(gallery.clone().watch(place, watching.clone()));
        }
        let striker = Striker {
            plan: self.plan,
            crowd: &crowd,
            operator: &self.operator,
            database: &self.database,
            record: &self.record,
            storefront: &self.storefront,
        };
        tell(&format!("seed {}: is the shop steady?", self.plan.seed));
        if let Err(reason) = striker.steady(STEADY_WITHIN).await {
            report.outcome = DrillOutcome::NotSteady;
            report.notes.push(format!("not steady before the first fault: {reason}"));
            watching.cancel();
            return Ok(report);
        }
        self.start_load(shop.main.pages_url(), &tasks, &crowd, &gallery, [&buying, &watching]);
        let broken_off = striker.strike_all(shop, &mut report, tell, &stop).await;
        buying.cancel();
        if let Some(reason) = &broken_off {
            tell(&format!("stopped early: {reason}"));
        }
        tell("no more faults: waiting until everything is settled");
        shop.resume().await?;
        self.record.calm_down_after(Duration::ZERO);
        let within = self.plan.settle_within;
        let settled = verdict::settle(self, &crowd, &gallery, within).await;
        let judged = verdict::judge(self, &gallery, &mut report).await;
        watching.cancel();
        tasks.close();
        tasks.wait().await;
        if let Err(waits) = settled {
            report.notes.push(format!("not settled within {within:?}: {waits}"));
        }
        judged?;
        tell("running the ledger checker");
        report.ledger = shop.main.check().await?;
        report.outcome = match broken_off {
            Some(reason) => {
                report.notes.push(reason);
                DrillOutcome::Aborted
            }
            None if report.holds() => DrillOutcome::Held,
            None => DrillOutcome::Broken,
        };
        Ok(report)
    }

    /// Starts everything that uses the shop during the faults: it runs until `buying` or `watching` is cancelled.
    fn start_load(
        &self,
        pages: String,
        tasks: &TaskTracker,
        crowd: &Arc<Crowd>,
        gallery: &Arc<Gallery>,
        [buying, watching]: [&CancellationToken; 2],
    ) {
        for shopper in 0..self.plan.load.shoppers {
            tasks.spawn(crowd.clone().shop(shopper, buying.clone()));
        }
        let (storefront, record) = (self.storefront.clone(), self.record.clone());
        let buyers = Arc::new(Buyers { seed: self.plan.seed, crowd: crowd.clone(), storefront, record, pages });
        for buyer in 0..self.plan.load.buyers {
            tasks.spawn(buyers.clone().buy(buyer, buying.clone()));
        }
        tasks.spawn(gallery.clone().compare(watching.clone()));
        tasks.spawn(merchant::trade(self.operator.clone(), self.plan.seed, buying.clone()));
    }
}

/// Writes the reports beside the drill's shop.
///
/// # Errors
/// If they cannot be written.
pub fn write(report: &DrillReport, folder: &Path) -> anyhow::Result<()> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write("report.json", serde_json::to_string_pretty(report)?)?;
    write("report.md", report.to_string())
}
