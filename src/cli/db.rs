//! `kartshoppe db migrate|reset|status|url`: the shop's PostgreSQL, private or configured.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::{Cli, output};
use crate::app::{Database, Second, StopSignals, bin_dir, place_of, refuse_while_running, store_options};
use crate::config::Config;
use crate::store::Store;
use crate::store::private_server::{self, Status};

const BROKEN_OFF: &str = "interrupted by a signal";
const NONE_HERE: &str = "no shop has run here: there is no private database";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Migrate the tables to this version.
    Migrate,
    /// Delete all carts and orders; a private database is deleted and created again. The event log must be emptied with it: `make
    /// reset` does both.
    Reset,
    /// Show where the database is, and whether its schema is up to date.
    Status,
    /// Print the URL of the database, password included, as psql takes it: psql "$(kartshoppe db url)".
    Url,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    super::block_on(async {
        match args.what {
            DbCommand::Migrate => migrate(&config).await,
            DbCommand::Reset => reset(&config).await,
            DbCommand::Status => status(&config).await,
            DbCommand::Url => url(&config),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_private(config: &Config) -> bool {
    config.postgres.database_url.is_empty()
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    if is_private(config) {
        refuse_while_running(&config.data_dir)?;
    }
    with_database(config, async |database| {
        database.store.migrate().await?;
        Ok(output::line("the tables are up to date")?)
    })
    .await
}

async fn reset(config: &Config) -> anyhow::Result<()> {
    refuse_while_running(&config.data_dir)?;
    if is_private(config) {
        // Also one that cannot be started, which is a common reason for a reset.
        private_server::reset(&config.data_dir, bin_dir(config)).await?;
    }
    with_database(config, async |database| {
        database.store.migrate().await?;
        database.store.reset().await?;
        Ok(output::line("all carts and orders were deleted")?)
    })
    .await
}

async fn status(config: &Config) -> anyhow::Result<()> {
    if is_private(config) {
        let status = match private_server::status(&config.data_dir)? {
            Status::Absent => "not created yet; `kartshoppe serve` creates it".to_owned(),
            Status::Stopped => {
                "stopped; it runs only while `kartshoppe serve` runs, which is when its tables can be checked".to_owned()
            }
            Status::Running { pid, socket } => {
                let urls = private_server::urls(&config.data_dir)?.context(NONE_HERE)?;
                let store = Store::new(&urls.database, store_options(config))?;
                format!("process {pid}, socket in {}; {}", socket.display(), shape(&store).await)
            }
        };
        return Ok(output::line(format_args!("private server of {}: {status}", config.data_dir.display()))?);
    }
    let store = Store::new(&config.postgres.database_url, store_options(config))?;
    let (place, shape) = (place_of(&store), shape(&store).await);
    store.close().await;
    Ok(output::line(format_args!("configured server at {place} (DATABASE_URL): {shape}"))?)
}

/// State of the schema, or why it is unknown.
async fn shape(store: &Store) -> String {
    match store.is_migrated().await {
        Ok(true) => "the tables are up to date".to_owned(),
        Ok(false) => "the tables are out of date: run `kartshoppe db migrate`".to_owned(),
        Err(error) => format!("whether the tables are up to date is unknown: {}", error.in_full()),
    }
}

fn url(config: &Config) -> anyhow::Result<()> {
    if is_private(config) {
        let urls = private_server::urls(&config.data_dir)?;
        Ok(output::line(urls.context(NONE_HERE)?.database)?)
    } else {
        Ok(output::line(&config.postgres.database_url)?)
    }
}

/// Runs `work` on the database, starting and stopping a private server around it, also if a signal interrupts it.
async fn with_database(config: &Config, work: impl AsyncFnOnce(&Database) -> anyhow::Result<()>) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.data_dir)?;
    let root = Path::new(&config.data_dir).canonicalize()?;
    let stop = StopSignals::listen(Second::Ends)?;
    let database = stop.unless_requested(Database::start(config, &root)).await?.context(BROKEN_OFF)?;
    let result = stop.unless_requested(work(&database)).await;
    database.stop().await;
    result?.context(BROKEN_OFF)
}
