//! `kartshoppe workshop status|next|open|check|hint|solve|reset`: chapters with checks and exercises, at the learner's own prompt;
//! `lead|join|leave`: a class.

mod board;
mod check;
mod exercises;
mod follow;
mod place;
mod shell;
mod solve;
mod status;

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;

use super::{Cli, output};
use crate::app::Log;
use crate::clock::Clock;
use crate::config::{Config, duration_text};
use crate::data_dir;
use crate::log::EventLog;
use crate::workshop::{self, Chapter, Moment, Step};

/// A log that does not open by then counts as unreachable.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All chapters and exercises, and how far they are.
    Status {
        /// Print the table as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The first step of the next chapter.
    Next,
    /// Begin a chapter (3) or exercise (E3): what its checks count begins now.
    Open {
        /// A chapter (3) or an exercise (E3).
        place: Place,
    },
    /// Say what is done and what is missing. Exit 0 only if everything is done.
    Check {
        /// A chapter (3) or an exercise (E3).
        place: Place,
        /// How long to wait for what is not so yet: 5s, 1m.
        #[arg(long, default_value = "5s", value_parser = wait)]
        wait: Duration,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The next hint of an exercise (E3).
    Hint {
        exercise: Place,
        /// This hint instead, from 1 to 3.
        stage: Option<u8>,
    },
    /// Do every chapter up to this one (5) for you, with the guide's commands; what is done already is left alone. Of an exercise
    /// (E3): put its solution in place, and keep what you wrote as a patch.
    Solve {
        /// A chapter (3) or an exercise (E3).
        place: Place,
        /// Also chapters that empty the shop, such as 12.
        #[arg(long)]
        yes: bool,
    },
    /// Forget that a chapter was begun or done, or undo what an exercise changed in the sources; what you wrote is kept as a patch.
    Reset {
        /// A chapter (3) or an exercise (E3).
        place: Place,
    },
    /// Show a class on a board: prints the address that learners join, and that of the board.
    Lead {
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
        listen: std::net::SocketAddr,
    },
    /// Send the results of checks to a board: name, step and result.
    Join {
        url: String,
        #[arg(long)]
        name: String,
    },
    /// Send nothing any more.
    Leave,
    /// Follow the chapters in an empty data directory, and hold that their checks are false before and true after: 3, 1-7 or 0-4,9.
    #[command(hide = true)]
    Follow { chapters: Option<String> },
}

/// A chapter or an exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Chapter(u8),
    Exercise(u8),
}

impl Place {
    /// The number of the exercise that it must be.
    fn exercise(self) -> anyhow::Result<u8> {
        match self {
            Self::Exercise(number) => Ok(number),
            Self::Chapter(number) => {
                anyhow::bail!("{number} is a chapter, and hints are those of exercises: E{number}?")
            }
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is neither a chapter (3) nor an exercise (E3)");
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u8>().map_err(|_| expected()),
            false => Err(expected()),
        };
        match text.strip_prefix(['E', 'e']) {
            Some(rest) => number(rest).map(Self::Exercise),
            None => number(text).map(Self::Chapter),
        }
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration_text::parse(text)?;
    if wait > WAIT_MAX { Err("at most 5m".to_owned()) } else { Ok(wait) }
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    if let What::Lead { listen } = args.what {
        return super::block_on(board::lead(listen)).map(|()| ExitCode::SUCCESS);
    }
    if let What::Solve { place: Place::Chapter(_), .. } | What::Follow { .. } = args.what {
        solve::enter_repository()?;
    }
    let mut config = cli.load(Vec::new())?.config;
    config.data_dir = place::data_dir(&config.data_dir, &std::env::current_dir().context("the current folder")?);
    let chapter = |number: u8| workshop::chapter(number);
    match &args.what {
        What::Status { json } => status::print(&config, *json)?,
        What::Next => status::next(&config)?,
        What::Open { place: Place::Chapter(number) } => open(&config, chapter(*number)?)?,
        What::Check { place: Place::Chapter(number), wait, json } => return check::run(&config, chapter(*number)?, *wait, *json),
        What::Reset { place: Place::Chapter(number) } => reset(&config, chapter(*number)?)?,
        What::Open { place: Place::Exercise(number) } => exercises::open(&config, *number)?,
        What::Check { place: Place::Exercise(number), json, .. } => return exercises::check(&config, *number, *json),
        What::Hint { exercise, stage } => exercises::hint(exercise.exercise()?, *stage)?,
        What::Solve { place: Place::Chapter(number), yes } => return solve::run(&config, chapter(*number)?, *yes),
        What::Solve { place: Place::Exercise(number), .. } => exercises::solve(*number)?,
        What::Reset { place: Place::Exercise(number) } => exercises::reset(&config, *number)?,
        What::Join { url, name } => super::block_on(board::join(&config, url, name))?,
        What::Leave => board::leave(&config)?,
        What::Follow { chapters } => return follow::run(&config, chapters.as_deref()),
        What::Lead { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn open(config: &Config, chapter: &Chapter) -> anyhow::Result<()> {
    super::block_on(begin(config, chapter))?;
    let first = chapter.steps().next();
    Ok(output::print(format_args!("{}{}", headed(config, chapter), first.map_or_else(String::new, step_text)))?)
}

/// Begins a chapter: what its checks count begins now.
async fn begin(config: &Config, chapter: &Chapter) -> anyhow::Result<()> {
    let now = moment(log(config).await.ok().as_ref()).await;
    Ok(workshop::update(&config.data_dir, |progress| progress.begin(&chapter.number.to_string(), now))?)
}

fn reset(config: &Config, chapter: &Chapter) -> anyhow::Result<()> {
    let Chapter { number, title, .. } = chapter;
    let was = workshop::update(&config.data_dir, |progress| progress.places.remove(&number.to_string()))?;
    let said = if was.is_some() { "is forgotten" } else { "had not been begun" };
    Ok(output::line(format_args!("{number} · {title}: {said}"))?)
}

/// The chapter, and where it can be read.
fn headed(config: &Config, chapter: &Chapter) -> String {
    let Chapter { number, title, .. } = chapter;
    format!("{number} · {title}\nread docs/workshop/{}{}\n", chapter.file(), or_in_console(config, number))
}

/// Where a running shop's console shows a chapter or an exercise.
fn or_in_console(config: &Config, place: &impl fmt::Display) -> String {
    let address = |server: data_dir::ServerInfo| format!(", or http://{}/workshop/{place}", server.admin);
    data_dir::running_server(&config.data_dir).map(address).unwrap_or_default()
}

/// A step, indented; not one with a here-document, whose end a shell finds only at the beginning of a line.
fn step_text(step: &Step) -> String {
    let indent = if step.text.contains("<<") { "" } else { "    " };
    let lines: Vec<String> = step.text.lines().map(|line| format!("{indent}{line}\n")).collect();
    format!("\n{}", lines.concat())
}

/// The log of the shop, for reading.
async fn log(config: &Config) -> anyhow::Result<Arc<dyn EventLog>> {
    let opened = tokio::time::timeout(LOG_PATIENCE, Log::open_for_reading(config)).await;
    Ok(opened.with_context(|| format!("the event log did not answer within {LOG_PATIENCE:?}"))??.log)
}

async fn moment(log: Option<&Arc<dyn EventLog>>) -> Moment {
    workshop::moment_now(&Clock::system(), log.map(|log| &**log)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::StepKind;

    #[test]
    fn a_printed_step_can_be_pasted_with_its_here_document() {
        let printed = |text: &str| step_text(&Step { name: None, kind: StepKind::Run, text: text.to_owned() });
        assert_eq!(printed("make doctor"), "\n    make doctor\n");
        assert_eq!(printed("cat <<'JSON'\n{}\nJSON"), "\ncat <<'JSON'\n{}\nJSON\n");
    }

    #[test]
    fn places_are_chapters_or_exercises() {
        for (text, place) in
            [("3", Place::Chapter(3)), ("03", Place::Chapter(3)), ("E3", Place::Exercise(3)), ("e14", Place::Exercise(14))]
        {
            assert_eq!(text.parse::<Place>(), Ok(place), "{text}");
        }
        for text in ["", "E", "x", "-1", "+3", "3.5", "300", "E-1", "EE1", "3 "] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
