//! `kartshoppe drill`: faults under load with a verdict. Exit 0 held, 1 broken, 2 bad plan, 3 not steady at the start, 4 aborted.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{Cli, output};
use crate::app::{Second, StopSignals};
use crate::clock::Clock;
use crate::config::duration_text;
use crate::drill::plan::Plan;
use crate::drill::{self, DrillOutcome, DrillPaths, DrilledShop};

const BAD_PLAN: u8 = 2;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan: short, default, long, disk, wal, kafka or kafka-long, or a file. Default: default; with a broker, kafka.
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// A script that starts and kills a Kafka broker (tools/kafka/broker.sh), which the drill's shop then runs on.
    #[arg(long, value_name = "SCRIPT")]
    broker: Option<PathBuf>,
    /// A seed other than the plan's: different purchases, and the faults in a different order.
    #[arg(long)]
    seed: Option<u64>,
    /// Spread the faults over this time, such as 10m.
    #[arg(long, value_parser = duration_text::parse)]
    duration: Option<Duration>,
    /// Folder for the drill's shop and its report; must be empty. Default: a new folder below DATA_DIR/drills.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print the plan and exit.
    #[arg(long)]
    show: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(error) => {
            output::tell(format_args!("{error:#}"));
            return Ok(ExitCode::from(BAD_PLAN));
        }
    };
    if args.show {
        output::print(toml::to_string(&plan)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => cli.load(Vec::new())?.config.data_dir.join("drills").join(name_of_now()?),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let place = DrillPaths {
        folder: folder.canonicalize().with_context(|| format!("finding {}", folder.display()))?,
        program: std::env::current_exe().context("finding this program")?,
        arguments: cli.global_arguments(),
        broker: args.broker.as_ref().map(|script| script.canonicalize()).transpose().context("finding the broker's script")?,
    };
    anyhow::ensure!(
        std::fs::read_dir(&place.folder)?.next().is_none(),
        "{} is not empty: a drill needs an empty folder",
        place.folder.display()
    );
    let outcome = super::block_on(carry_out(plan, place, args.json))?;
    Ok(ExitCode::from(outcome as u8))
}

async fn carry_out(plan: Plan, place: DrillPaths, json: bool) -> anyhow::Result<DrillOutcome> {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let signals = StopSignals::listen(Second::IsIgnored)?;
    tokio::spawn(async move {
        signals.wait().await;
        output::tell("stopping the drill; the verdict follows once the shop has settled");
        stopping.cancel();
    });
    let [shop, second] = DrilledShop::data_dirs(&place);
    let report = drill::run(&plan, &place, &|line| output::progress(line), stop).await?;
    drill::write(&report, &place.folder)?;
    let printed = if json { output::json(&report) } else { output::print(&report).map_err(Into::into) };
    if report.outcome == DrillOutcome::Held {
        crate::store::private_server::delete(&shop).await?;
        std::fs::remove_dir_all(&shop).with_context(|| format!("removing {}", shop.display()))?;
        let _ = std::fs::remove_dir_all(second);
        output::tell(format_args!("the report is in {}", place.folder.display()));
    } else {
        output::tell(format_args!("the report, the shop's data and its output are in {}", place.folder.display()));
    }
    printed?;
    Ok(report.outcome)
}

/// The current time as a folder name.
fn name_of_now() -> anyhow::Result<String> {
    let now = jiff::Timestamp::from_millisecond(Clock::system().now_ms()).context("reading the clock")?;
    Ok(now.strftime("%Y%m%d-%H%M%S").to_string())
}

fn plan(args: &Args) -> anyhow::Result<Plan> {
    let usual = if args.broker.is_some() { "kafka" } else { "default" };
    let name = args.plan.as_deref().unwrap_or(usual);
    let mut plan = Plan::read(name)?;
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.duration = args.duration.unwrap_or(plan.duration);
    plan.check(args.broker.is_some()).with_context(|| format!("the plan {name}"))?;
    Ok(plan)
}
