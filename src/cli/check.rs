//! `kartshoppe check`: does the ledger add up? Exit 0 only if everything was judged, and holds.

use std::process::ExitCode;

use anyhow::Context;

use super::{Cli, output};
use crate::app::Log;
use crate::check::{self, Subject, Thresholds};
use crate::config::Config;
use crate::sources::inventory::INVENTORY_GROUP;
use crate::store::private_server;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    let report = super::block_on(judge(&config))?;
    if args.json {
        output::json(&report)?;
    } else {
        output::print(&report)?;
    }
    Ok(if report.holds() && report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn judge(config: &Config) -> anyhow::Result<check::Report> {
    let Log { log, .. } = Log::open_for_reading(config).await?;
    let url = match config.postgres.database_url.as_str() {
        "" => private_server::urls(&config.data_dir)?.context("no shop has run here: there is no private database")?.database,
        url => url.to_owned(),
    };
    let server = crate::data_dir::running_server(&config.data_dir);
    let pool = sqlx::PgPool::connect(&url).await;
    let read_model = match server.and_then(|server| server.http) {
        Some(http) => Some(super::http::get_json(http, "/api/ecommerce/inventory/state").await?),
        None => None,
    };
    let subject = Subject {
        log: &*log,
        group: INVENTORY_GROUP,
        thresholds: Thresholds { critical_max: config.inventory.critical_max, warning_max: config.inventory.warning_max },
        pool: pool.as_ref().ok(),
        read_model: read_model.as_ref().and_then(|state| state["products"].as_array().cloned()),
    };
    let mut report = check::run(&subject).await?;
    if let Err(error) = &pool {
        let remedy = "start the shop, or set DATABASE_URL to a server that runs";
        report.note(format!("PostgreSQL was not judged ({error}): {remedy}"));
    }
    if subject.read_model.is_none() {
        report.note("the read model was not judged: no server is running");
    }
    Ok(report)
}
