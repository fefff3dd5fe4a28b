//! `kartshoppe dead-letters list|replay`: input that could not be used, and corrected copies of it. Both call the running server.

use std::fmt::Write;
use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;
use serde_json::value::RawValue;

use super::http::OperatorsListener;
use super::{Cli, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Show the newest dead letters by reason.
    List {
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Append a copy of a dead letter to the topic that it came from, at most once.
    Replay {
        #[arg(value_name = "PARTITION")]
        partition: i32,
        #[arg(value_name = "OFFSET")]
        offset: i64,
        /// Read a corrected value, as JSON, from standard input.
        #[arg(long)]
        corrected: bool,
    },
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    let operators = OperatorsListener::of_running(&config)?;
    super::block_on(async {
        match args.what {
            DeadLettersCommand::List { json } => list(&operators, json).await,
            DeadLettersCommand::Replay { partition, offset, corrected } => replay(&operators, partition, offset, corrected).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(operators: &OperatorsListener, json: bool) -> anyhow::Result<()> {
    let answer = operators.get("/admin/dead-letters/groups").await?;
    if json {
        return output::json(&answer);
    }
    let mut text = String::new();
    for group in answer["groups"].as_array().into_iter().flatten() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} of {}: {}", plain(&group["kind"]), plain(&group["topic"]), group["count"]);
        for letter in group["letters"].as_array().into_iter().flatten() {
            let state = match (letter["replay"]["state"].as_str(), letter["refused"].as_str()) {
                (Some("yes"), _) => format!("replayed as {}", plain(&letter["replay"]["copy"])),
                (Some("unclear"), _) => "unclear".to_owned(),
                (_, Some(refused)) => refused.to_owned(),
                _ => "open".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {}/{}  from {}  {state}  {}",
                letter["partition"],
                letter["offset"],
                plain(&letter["source"]),
                plain(&letter["message"])
            );
        }
    }
    Ok(output::print(if text.is_empty() { "there are no dead letters\n".to_owned() } else { text })?)
}

async fn replay(operators: &OperatorsListener, partition: i32, offset: i64, corrected: bool) -> anyhow::Result<()> {
    let mut order = Value::Null;
    if corrected {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("reading standard input")?;
        serde_json::from_str::<Box<RawValue>>(&text).context("standard input is not one JSON value")?;
        // As base64: the server appends the bytes as they were written here.
        use base64::Engine as _;
        order = serde_json::json!({"valueBase64": base64::engine::general_purpose::STANDARD.encode(text.trim())});
    }
    let order = if order.is_null() { serde_json::json!({}) } else { order };
    let answer = operators.post(&format!("/admin/dead-letters/{partition}/{offset}/replay"), &order).await?;
    Ok(output::line(format_args!("replayed as {}", plain(&answer["copy"])))?)
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}
