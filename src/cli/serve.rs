//! `kartshoppe serve`: runs the shop.

use std::process::ExitCode;

use super::Cli;
use super::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Roles of this process, separated by commas: api, inventory, cdc. Default: all.
    #[arg(long, value_name = "ROLES")]
    roles: Option<String>,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "seeded-bugs")]
    if let Some(bug) = crate::bugs::chosen()? {
        output::tell(format_args!("seeded bug {}: it breaks that {}", bug.name(), bug.sentence()));
    }
    let flags = args.roles.iter().map(|roles| ("roles", roles.clone())).collect();
    let loaded = cli.load(flags)?;
    let settings = crate::config::shown_keys(&loaded);
    let well = super::block_on(crate::app::serve(loaded.config, settings, |line| output::tell(line)))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
