//! `kartshoppe backup|restore FILE`: a data directory in one file, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Cli, output};
use crate::app::backup::{self, Manifest};
use crate::app::{Second, StopSignals};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup's file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn back_up(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    super::block_on(async {
        let stop = StopSignals::listen(Second::Ends)?;
        let made = backup::back_up(&config, &args.file, &stop).await?;
        output::line(format_args!("{} holds {}", args.file.display(), contents(&made)))?;
        if made.log.is_none() || made.database.is_none() {
            output::tell("a backup does not hold everything; what else to copy: docs/runbooks/backup-and-restore.md");
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn restore(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    super::block_on(async {
        let stop = StopSignals::listen(Second::Ends)?;
        let restored = backup::restore(&config, &args.file, &stop).await?;
        output::line(format_args!("restored to {}: {}", config.data_dir.display(), contents(&restored)))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn contents(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files.iter().map(|part| part.size).sum();
    let log = if manifest.log.is_some() { "the event log" } else { "no event log (it is on Kafka)" };
    let database = if manifest.database.is_some() { "the database" } else { "no database (DATABASE_URL)" };
    format!("{log} and {database}: {} files, {bytes} bytes", manifest.files.len())
}
