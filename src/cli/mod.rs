//! The command line: one file per subcommand. Each parses its arguments, calls the library, and turns an error into a text and an
//! exit code.

mod backup;
mod cdc;
mod check;
mod config;
mod db;
mod dead_letters;
mod drill;
mod explain;
mod http;
mod output;
mod serve;
mod topics;
mod trace;
mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config::{Config, LoadOptions, Loaded};
use crate::telemetry::panics;

/// How long blocking work may delay the end of a command. Its result is no longer needed.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// KartShoppe: a real-time shop whose inventory lives in supervised actors.
#[derive(Debug, Parser)]
#[command(name = "kartshoppe", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    /// Profile: reads config/NAME.toml over the defaults.
    #[arg(long, global = true, value_name = "NAME", env = "KARTSHOPPE_PROFILE")]
    profile: Option<String>,
    /// Folder of the configuration files [default: config, if there is one].
    #[arg(long, global = true, value_name = "FOLDER")]
    config_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the shop.
    Serve(serve::Args),
    /// The shop's PostgreSQL.
    Db(db::Args),
    /// The WAL reader's slot: its status, and its repair.
    Cdc(cdc::Args),
    /// Write event log and database to one file, beside the running shop or while it is stopped.
    Backup(backup::Args),
    /// Fill an empty data directory from a backup.
    Restore(backup::Args),
    /// Check that the ledger adds up.
    Check(check::Args),
    /// Break the shop while it sells, and give a verdict.
    Drill(drill::Args),
    /// What could not be used, and its replay.
    DeadLetters(dead_letters::Args),
    /// Say what a product was at a moment, and why.
    Explain(explain::Args),
    /// Read and write the topics of the event log.
    Topics(topics::Args),
    /// Draw an order's trace as a tree, from Jaeger.
    Trace(trace::Args),
    /// Show or check the configuration.
    Config(config::Args),
    /// The workshop: chapters with checks.
    Workshop(workshop::Args),
}

/// The whole program: parses the arguments and runs the command; errors go to standard error.
#[must_use]
pub fn main() -> ExitCode {
    panics::to_standard_error();
    match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(said) => output::parsed_nothing(&said),
    }
}

impl Cli {
    fn run(self) -> ExitCode {
        let result = match &self.command {
            Command::Serve(args) => serve::run(&self, args),
            Command::Db(args) => db::run(&self, args),
            Command::Cdc(args) => cdc::run(&self, args),
            Command::Backup(args) => backup::back_up(&self, args),
            Command::Restore(args) => backup::restore(&self, args),
            Command::Check(args) => check::run(&self, args),
            Command::Drill(args) => drill::run(&self, args),
            Command::DeadLetters(args) => dead_letters::run(&self, args),
            Command::Explain(args) => explain::run(&self, args),
            Command::Topics(args) => topics::run(&self, args),
            Command::Trace(args) => trace::run(&self, args),
            Command::Config(args) => config::run(&self, args),
            Command::Workshop(args) => workshop::run(&self, args),
        };
        result.unwrap_or_else(|error| output::failed(&error))
    }

    /// The arguments with which another process of this program reads the same configuration.
    fn global_arguments(&self) -> Vec<String> {
        let folder = self.config_dir.iter();
        let mut arguments: Vec<String> =
            folder.flat_map(|folder| ["--config-dir".to_owned(), folder.display().to_string()]).collect();
        arguments.extend(self.profile.iter().flat_map(|profile| ["--profile".to_owned(), profile.clone()]));
        arguments
    }

    fn load(&self, flags: Vec<(&'static str, String)>) -> anyhow::Result<Loaded> {
        if let Some(folder) = self.config_dir.as_ref().filter(|folder| !folder.is_dir()) {
            anyhow::bail!(
                "--config-dir {}: there is no such folder; name the one with the profiles, or leave the option out",
                folder.display()
            );
        }
        let options = LoadOptions {
            folder: self.config_dir.clone().unwrap_or_else(|| PathBuf::from("config")),
            profile: self.profile.clone(),
            environment: environment().context("reading the environment")?,
            flags,
        };
        Ok(Config::load(&options)?)
    }
}

/// Runs an asynchronous command.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(END_PATIENCE);
    result
}

/// The environment as text; only our own variables must be valid UTF-8.
fn environment() -> anyhow::Result<Vec<(String, String)>> {
    let ours = |name: &str| name.starts_with("KARTSHOPPE__") || name == "DATABASE_URL";
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| ours(name)) else { continue };
        let value = value.to_str().with_context(|| format!("{name} is not UTF-8"))?;
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}
