//! The newest lines of the log, and those that come.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};
use tracing::Level;

use super::stream::events;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::telemetry::log_ring::{self, Line};
use crate::wire::console::logs::{LogLine, LogPage};

/// Lines of one answer, unless another number is asked for, and at most.
const LINES: usize = 200;
const LINES_MAX: i64 = 2_000;
/// Pause between two events of the tail, and lines of one event: a flood is skipped and not sent.
const TAIL_EVERY: Duration = Duration::from_millis(250);
/// A quiet stream sends an empty array so often: only a failing write shows that a viewer has gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
const TAIL_LINES: usize = 100;

/// Which lines are wanted.
#[derive(Clone)]
struct LineFilter {
    level: Level,
    part: String,
    text: String,
    trace: String,
}

impl LineFilter {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let text = |name| parameters.text(name).unwrap_or_default().trim().to_lowercase();
        let level = match text("level").as_str() {
            "" | "trace" => Level::TRACE,
            "debug" => Level::DEBUG,
            "info" => Level::INFO,
            "warn" => Level::WARN,
            "error" => Level::ERROR,
            _ => return Err(Problem::field("level", "expected error, warn, info, debug or trace")),
        };
        Ok(Self { level, part: text("part"), text: text("text"), trace: text("trace") })
    }

    fn holds(&self, line: &Line) -> bool {
        let has = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        let actor = line.fields.get("kartshoppe.actor.id").map_or("", String::as_str);
        line.level <= self.level
            && (has(&line.part, &self.part) || has(actor, &self.part))
            && (self.text.is_empty() || has(&line.text, &self.text) || line.fields.values().any(|value| has(value, &self.text)))
            && (self.trace.is_empty() || line.trace().is_some_and(|trace| trace.to_lowercase() == self.trace))
    }
}

fn shown(line: &Line) -> LogLine {
    LogLine {
        number: line.number,
        at: line.at,
        level: match line.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        },
        part: line.part.clone(),
        text: line.text.clone(),
        fields: line.fields.clone(),
        trace: line.trace().map(str::to_owned),
    }
}

/// The newest lines of this process's log, the newest first: of the newest 2,000.
#[utoipa::path(get, path = "/admin/logs", tag = "operators",
    params(
        ("level" = Option<String>, Query, description =
            "this level and more severe ones: `error`, `warn`, `info`, `debug`, `trace`"),
        ("part" = Option<String>, Query, description = "substring of the module's or the actor's name"),
        ("text" = Option<String>, Query, description = "substring of the text or of a field"),
        ("trace" = Option<String>, Query, description = "trace id"),
        ("limit" = Option<u32>, Query, description = "default 200, at most 2000"),
    ),
    responses((status = 200, body = LogPage)))]
pub fn read(parameters: Parsed) -> Ready<Result<Json<LogPage>, Problem>> {
    ready(page(parameters))
}

fn page(parameters: Parsed) -> Result<Json<LogPage>, Problem> {
    let parameters = Parameters::new(parameters)?;
    let wanted = LineFilter::of(&parameters)?;
    let limit = parameters.number("limit", 1, LINES_MAX)?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LINES);
    let (lines, written) = log_ring::ring().since(0);
    let kept = lines.len() as u64;
    let lines = lines.iter().rev().filter(|line| wanted.holds(line)).take(limit).map(|line| shown(line)).collect();
    Ok(Json(LogPage { lines, kept, written }))
}

/// Lines as they come: a stream of server-sent events, each with an array of lines, the oldest first. What comes faster than a
/// viewer reads, or by more than a hundred lines at once, is left out: the numbers have a gap then.
#[utoipa::path(get, path = "/admin/logs/tail", tag = "operators",
    params(("level" = Option<String>, Query), ("part" = Option<String>, Query), ("text" = Option<String>, Query),
        ("trace" = Option<String>, Query)),
    responses((status = 200, content_type = "text/event-stream", body = [LogLine])))]
pub fn tail(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Ready<Result<Response, Problem>> {
    ready(following(&operators, parameters))
}

fn following(operators: &Operators, parameters: Parsed) -> Result<Response, Problem> {
    let wanted = LineFilter::of(&Parameters::new(parameters)?)?;
    let ring = log_ring::ring();
    let (_, written) = ring.since(u64::MAX);
    let lines = stream::unfold((ring.watch(), written + 1), move |(mut newest, mut from)| {
        let (ring, wanted) = (ring.clone(), wanted.clone());
        async move {
            let begun = Instant::now();
            loop {
                match timeout_at(begun + SIGN_OF_LIFE, newest.changed()).await {
                    Ok(changed) => changed.ok()?,
                    Err(_) => return Some((Bytes::from_static(b"[]"), (newest, from))),
                }
                tokio::time::sleep(TAIL_EVERY).await;
                newest.mark_unchanged();
                let (lines, written) = ring.since(from);
                from = written + 1;
                let mut fitting: Vec<LogLine> = lines.iter().filter(|line| wanted.holds(line)).map(|line| shown(line)).collect();
                let surplus = fitting.len().saturating_sub(TAIL_LINES);
                fitting.drain(..surplus);
                if !fitting.is_empty() || begun.elapsed() >= SIGN_OF_LIFE {
                    let event = Bytes::from(serde_json::to_vec(&fitting).unwrap_or_default());
                    return Some((event, (newest, from)));
                }
            }
        }
    });
    Ok(events(lines, operators.lifeline.stop.clone()))
}
