//! `kartshoppe check`: does the ledger add up? Exit 0 only if everything could be checked and holds.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::{Cli, output};
use crate::actors::inventory::INVENTORY_GROUP;
use crate::app::Log;
use crate::check::{self, Subject, Thresholds};
use crate::config::{Config, duration_text};
use crate::store::private_server;

/// Path of all products in the running shop's API.
const READ_MODEL: &str = "/api/ecommerce/inventory/state";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// A partition, PostgreSQL or server without progress for this long is left out, and the report says so: 30s, 5m.
    #[arg(long, default_value = "30s", value_parser = patience)]
    patience: Duration,
}

fn patience(text: &str) -> Result<Duration, String> {
    let patience = duration_text::parse(text)?;
    if patience.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(patience) }
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    let report = super::block_on(judge(&config, args.patience))?;
    if args.json {
        output::json(&report)?;
    } else {
        output::print(&report)?;
    }
    Ok(if report.holds() && report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn judge(config: &Config, patience: Duration) -> anyhow::Result<check::Findings> {
    let Log { log, .. } = Log::open_for_reading(config).await?;
    let url = match config.postgres.database_url.as_str() {
        "" => private_server::urls(&config.data_dir)?.context("no shop has run here: there is no private database")?.database,
        url => url.to_owned(),
    };
    let server = crate::data_dir::running_server(&config.data_dir);
    let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(patience).connect(&url).await;
    let asked = server.as_ref().and_then(|server| server.http).map(|http| super::http::get_json(http, READ_MODEL));
    let read_model = match asked {
        Some(asked) => {
            Some(tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err(anyhow!("no answer within {patience:?}"))))
        }
        None => None,
    };
    let (read_model, unread) = match read_model.transpose() {
        Ok(read_model) => (read_model, None),
        Err(error) => (None, Some(format!("could not be judged: the read model, {error:#}"))),
    };
    let subject = Subject {
        log: &*log,
        group: INVENTORY_GROUP,
        thresholds: Thresholds { critical_max: config.inventory.critical_max, warning_max: config.inventory.warning_max },
        pool: pool.as_ref().ok(),
        read_model: read_model.as_ref().and_then(|state| state["products"].as_array().cloned()),
        patience,
    };
    let mut report = check::run(&subject).await?;
    if let Err(error) = &pool {
        let remedy = "start the shop, or set DATABASE_URL to a running server";
        report.note(format!("PostgreSQL was not judged ({error}): {remedy}"));
    }
    if let Some(unread) = unread {
        report.unread.push(unread);
    } else if subject.read_model.is_none() {
        report.note("the read model was not judged: no server is running");
    }
    Ok(report)
}
