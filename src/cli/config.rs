//! `kartshoppe config print|check`: the effective configuration and where each value comes from.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Cli, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key, its value and where it came from. Secrets are hidden.
    Print,
    /// Check whether the configuration is valid.
    Check,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = cli.load(Vec::new())?;
    match args.what {
        ConfigCommand::Print => output::print(crate::config::print(&loaded))?,
        ConfigCommand::Check => output::line(format_args!("the configuration is valid: {} keys", loaded.origins.len()))?,
    }
    Ok(ExitCode::SUCCESS)
}
