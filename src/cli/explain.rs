//! `kartshoppe explain PRODUCT --at TIME`: what a product was, and why. Reads the log beside a running server.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::{Cli, output};
use crate::app::Log;
use crate::config::Config;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::log::EventLog;
use crate::records::timeline::{
    self, ChangeCause, ProductTimeline, Proof, TimelineChange, TimelineCursor, TimelineQuery, parse_moment,
};

/// One reading; the command repeats it until the state is found.
const READING_TIME: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "PRODUCT")]
    product: String,
    /// The moment: epoch milliseconds, or 2026-01-31T10:42:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_moment, allow_hyphen_values = true)]
    at: Option<EpochMs>,
    /// Only changes since this time.
    #[arg(long, value_name = "TIME", value_parser = parse_moment, allow_hyphen_values = true)]
    from: Option<EpochMs>,
    /// Number of changes before the moment.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    let timeline = super::block_on(read(&config, args))?;
    if args.json {
        output::json(&timeline)?;
    } else {
        output::print(rendered(&timeline))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(config: &Config, args: &Args) -> anyhow::Result<ProductTimeline> {
    let product_id = ProductId::new(&args.product).context("PRODUCT")?;
    let Log { log, .. } = Log::open_for_reading(config).await?;
    let mut query = TimelineQuery { product_id, at: args.at, from: args.from, to: None, limit: args.limit.into(), cursor: None };
    let mut changes: Vec<TimelineChange> = Vec::new();
    loop {
        let mut timeline = read_once(&*log, &query).await?;
        changes.append(&mut timeline.changes);
        if timeline.proof != Proof::Pending {
            return Ok(ProductTimeline { changes, ..timeline });
        }
        query.cursor = timeline.cursor.as_deref().and_then(TimelineCursor::parse);
        query.limit = usize::from(args.limit).saturating_sub(changes.len());
        if query.cursor.is_none() {
            bail!("the log was not read back to its beginning");
        }
    }
}

async fn read_once(log: &dyn EventLog, query: &TimelineQuery) -> anyhow::Result<ProductTimeline> {
    Ok(timeline::read(log, query, Instant::now() + READING_TIME).await?)
}

/// The answer in words.
fn rendered(timeline: &ProductTimeline) -> String {
    let ProductTimeline { product_id, at, state, revision, cause, proof, changes, since, .. } = timeline;
    let when = at.map_or_else(|| "now".to_owned(), |at| format!("at {}", time(at)));
    let mut text = match state {
        Some(state) => {
            let price = state.price.map_or_else(String::new, |price| format!(", {}", amount(price.cents())));
            let name = state.name.as_deref().unwrap_or("unnamed");
            format!("{product_id} {when}: {} in stock{price} ({name})\n", state.stock)
        }
        None if *proof == Proof::Absent => format!("{product_id} {when}: there is no such product\n"),
        None => format!("{product_id} {when}: unknown, as the log no longer reaches back that far\n"),
    };
    // Writing to a string cannot fail.
    if let Some(revision) = revision {
        let _ = writeln!(text, "revision  life {}, version {}", revision.life, revision.version);
    }
    if let Some(cause) = cause {
        let _ = writeln!(text, "because   {}", because(cause));
        if let Some(record) = &cause.record {
            let _ = writeln!(text, "record    {}", record["value"]);
        }
    }
    if let Some(since) = since {
        let since = since.time.map_or_else(|| "no record is left".to_owned(), time);
        let _ = writeln!(text, "proven    since {since}; older records are gone");
    }
    if !changes.is_empty() {
        let _ = writeln!(text, "\n{:<24} {:>9}  {:<20} {:>13} {:>19}  cause", "time", "version", "event", "stock", "price");
    }
    changes.iter().for_each(|change| line(&mut text, change));
    text
}

fn line(text: &mut String, change: &TimelineChange) {
    let version = change.revision.map_or_else(|| "-".to_owned(), |revision| format!("{}.{}", revision.life, revision.version));
    let figure = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let stock = format!("{} > {}", figure(change.stock_before), figure(change.stock_after));
    let cents = |money: Option<crate::wire::Money>| money.map_or_else(|| "-".to_owned(), |money| amount(money.cents()));
    let price = format!("{} > {}", cents(change.price_before), cents(change.price_after));
    let (time, event, cause) = (time(change.time), &change.event_type, because(&change.cause));
    let _ = writeln!(text, "{time:<24} {version:>9}  {event:<20} {stock:>13} {price:>19}  {cause}");
}

fn because(cause: &ChangeCause) -> String {
    let mut text = cause.text.clone().unwrap_or_else(|| "unknown".to_owned());
    if let Some(order) = &cause.order_id {
        let _ = write!(text, ", order {order}");
    }
    if let (Some(quantity), Some(allocated)) = (cause.quantity, cause.allocated) {
        let _ = write!(text, " ({allocated} of {quantity})");
    }
    if let Some(trace) = &cause.trace_id {
        let _ = write!(text, ", trace {trace}");
    }
    text
}

fn amount(cents: i64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn time(at_ms: EpochMs) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| format!("{at:.3}"))
}
