//! `kartshoppe cdc status|repair-slot`: the WAL reader's slot.
//!
//! `status` only reads, also while the shop runs. `repair-slot` writes the event log, so with the embedded log the shop must be
//! stopped: the file belongs to one process.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{Cli, output};
use crate::app::{Log, Second, StopSignals, bin_dir};
use crate::config::Config;
use crate::log::EventLog;
use crate::sources::wal::{self, Begun, ReadError, SlotStatus, Step, Steps, WalConfig};
use crate::store::private_server::{self, PrivateServer, Status};
use crate::wire::topics::Topic;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: CdcCommand,
}

#[derive(Debug, Subcommand)]
enum CdcCommand {
    /// Slot, position and lag, and what to do if something is wrong. Exit code 1 if something is.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create a new slot and publish what was missed. Stop the shop first, unless its event log is Kafka.
    RepairSlot {
        /// Wait at this step until the process is ended: for tests, with faults enabled only.
        #[arg(long, hide = true, value_parser = step_of_repair)]
        halt_at: Option<Step>,
    },
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    super::block_on(async {
        match args.what {
            CdcCommand::Status { json } => status(&config, json).await,
            CdcCommand::RepairSlot { halt_at } => repair(&config, halt_at).await,
        }
    })
}

async fn status(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let wal = WalConfig::new(url(config)?, &config.cdc.slot);
    if is_private(config) && !matches!(private_server::status(&config.data_dir)?, Status::Running { .. }) {
        bail!("the private PostgreSQL is stopped: it runs only while `kartshoppe serve` runs");
    }
    let opened = Log::open_for_reading(config).await.map_err(|error| format!("{error:#}"));
    let found = wal::status(&wal, opened.as_ref().map(|opened| &*opened.log).map_err(Clone::clone)).await?;
    if json {
        output::json(&found)?;
    } else {
        output::print(table(&found))?;
    }
    Ok(if found.alarm.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(found: &SlotStatus) -> String {
    let slot = match (found.exists, found.reader_pid, found.maker_pid) {
        (false, ..) => "none yet: the reader creates it when it starts".to_owned(),
        (true, Some(pid), _) => format!("{}, being read (PostgreSQL process {pid})", found.slot),
        (true, None, Some(pid)) => format!("{}, being made (PostgreSQL process {pid})", found.slot),
        (true, None, None) => format!("{}, without a reader", found.slot),
    };
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes} bytes"));
    let position = match (&found.position, &found.position_unknown) {
        (Some(position), _) => {
            format!("{} (server {}, timeline {})", position.resume_lsn, position.system_id, position.timeline)
        }
        (None, Some(reason)) => format!("unknown ({reason})"),
        (None, None) => "none".to_owned(),
    };
    let safe =
        found.safe_bytes.map_or_else(|| "no limit".to_owned(), |bytes| format!("{bytes} more bytes, then the slot is lost"));
    let rows = [
        ("database", found.database.clone()),
        ("slot", slot),
        ("position", position),
        ("lag", format!("{}, {:.1} s", bytes(found.lag_bytes), found.lag_ms as f64 / 1_000.0)),
        ("waiting", format!("{} without an outcome", output::counted(found.waiting_items, "item"))),
        ("WAL kept", format!("{} ({safe})", bytes(found.retained_bytes))),
        ("to do", found.alarm.as_ref().or(found.advice.as_ref()).cloned().unwrap_or_else(|| "nothing".to_owned())),
    ];
    rows.iter().map(|(name, text)| format!("{name:<9} {text}\n")).collect()
}

fn step_of_repair(name: &str) -> Result<Step, String> {
    let known = || Step::OF_REPAIR.map(Step::name).join(", ");
    Step::OF_REPAIR.into_iter().find(|step| step.name() == name).ok_or_else(|| format!("the steps are {}", known()))
}

/// Prints that a step is reached and waits there, so that a test can end the process at that point.
struct HaltAt(Option<Step>);

impl Steps for HaltAt {
    async fn at(&self, step: Step) -> Result<(), ReadError> {
        if self.0 == Some(step) {
            // The test waits for this line; if it cannot be written, the process waits here all the same.
            let _ = output::line(format_args!("halted at {}", step.name()));
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn repair(config: &Config, halt_at: Option<Step>) -> anyhow::Result<ExitCode> {
    if halt_at.is_some() && !config.faults.enabled {
        bail!("--halt-at is for tests: KARTSHOPPE__FAULTS__ENABLED=true allows it");
    }
    let opened = Log::open_for_upkeep(config)
        .await
        .context("the embedded log cannot be opened while the shop is running: stop the shop first")?;
    let repaired = repair_on(config, &*opened.log, &HaltAt(halt_at)).await;
    opened.close().await;
    let begun = repaired?;
    output::line(format_args!(
        "the slot {} starts at {}; published what was missed: {}",
        config.cdc.slot,
        begun.position.resume_lsn,
        output::counted(begun.published, "item")
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn repair_on(config: &Config, log: &dyn EventLog, steps: &HaltAt) -> anyhow::Result<Begun> {
    log.create_topics(&Topic::ALL.into_iter().filter(|topic| topic.is_ours()).collect::<Vec<_>>()).await?;
    let stop = StopSignals::listen(Second::Ends)?;
    let private = stop.unless_requested(start_private(config)).await?.context("interrupted by a signal")?;
    let repaired = stop.unless_requested(async {
        let wal = WalConfig::new(url(config)?, &config.cdc.slot);
        Ok(wal::repair_in_steps(&wal, log, steps).await?)
    });
    let repaired = repaired.await;
    if let Some(server) = private {
        server.stop().await?;
    }
    repaired?.context("interrupted by a signal; run the repair again to finish it")
}

async fn start_private(config: &Config) -> anyhow::Result<Option<PrivateServer>> {
    if !is_private(config) {
        return Ok(None);
    }
    Ok(Some(PrivateServer::start(&config.data_dir, bin_dir(config)).await.context("starting the private PostgreSQL")?))
}

fn is_private(config: &Config) -> bool {
    config.postgres.database_url.is_empty()
}

/// The reader's own credentials, else the private server's, else the shop's.
fn url(config: &Config) -> anyhow::Result<String> {
    if !config.cdc.database_url.is_empty() {
        return Ok(config.cdc.database_url.clone());
    }
    if !is_private(config) {
        return Ok(config.postgres.database_url.clone());
    }
    let urls = private_server::urls(&config.data_dir)?;
    Ok(urls.context("there is no private PostgreSQL yet: `kartshoppe serve` creates it")?.cdc)
}
