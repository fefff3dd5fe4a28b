//! The newest lines of the log in memory, for the console. Bounded in lines and bytes, and free of what must not be shown.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::traced_lines::{SPAN_ID, TRACE_ID, sampled};
use crate::clock::Clock;
use crate::domain::EpochMs;

/// Lines that are kept, and their bytes.
const LINES: usize = 2_000;
const BYTES: usize = 2 * 1024 * 1024;
/// Characters of a line's text and of a field, and fields of a line.
const TEXT_MAX: usize = 1_000;
const FIELD_MAX: usize = 300;
pub(super) const FIELDS_MAX: usize = 16;
/// Parts of field names whose values are credentials: they are left out, though no line should have them.
const SECRET_PARTS: [&str; 7] = ["session", "password", "secret", "token", "credential", "authorization", "cookie"];

static RING: LazyLock<LogRing> = LazyLock::new(LogRing::default);

/// The lines of this process.
#[must_use]
pub fn ring() -> LogRing {
    RING.clone()
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counts the lines of the process.
    pub number: u64,
    pub at: EpochMs,
    pub level: Level,
    pub part: String,
    pub text: String,
    pub fields: BTreeMap<String, String>,
}

impl Line {
    /// The trace that it names.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        ["trace_id", "trace.id", "traceId"].iter().find_map(|name| self.fields.get(*name)).map(String::as_str)
    }

    fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.part.len() + self.text.len() + fields + size_of::<Self>()
    }
}

/// The newest lines. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogRing(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<Lines>,
    /// The number of the newest line.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The newest at the back.
    kept: VecDeque<Arc<Line>>,
    bytes: usize,
    written: u64,
}

impl LogRing {
    /// The lines from this number on, the oldest first, and how many there were since the process started.
    #[must_use]
    pub fn since(&self, number: u64) -> (Vec<Arc<Line>>, u64) {
        let lines = self.lines();
        let from = lines.kept.partition_point(|line| line.number < number);
        (lines.kept.range(from..).cloned().collect(), lines.written)
    }

    /// Changes with every line.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    fn put(&self, mut line: Line) {
        let number = {
            let mut lines = self.lines();
            lines.written += 1;
            line.number = lines.written;
            lines.bytes += line.bytes();
            lines.kept.push_back(Arc::new(line));
            while lines.kept.len() > LINES || lines.bytes > BYTES {
                let Some(oldest) = lines.kept.pop_front() else { break };
                lines.bytes -= oldest.bytes();
            }
            lines.written
        };
        self.0.newest.send_replace(number);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts every line into the ring.
#[derive(Debug)]
pub(super) struct RingLayer {
    pub ring: LogRing,
    pub clock: Clock,
}

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut found = Fields::default();
        event.record(&mut found);
        if let Some(trace) = sampled() {
            found.fields.entry(TRACE_ID.to_owned()).or_insert_with(|| trace.trace_id_hex());
            found.fields.insert(SPAN_ID.to_owned(), trace.span_id_hex());
        }
        let part = event.metadata().target();
        self.ring.put(Line {
            number: 0,
            at: self.clock.now_ms(),
            level: *event.metadata().level(),
            part: part.strip_prefix("kartshoppe::").unwrap_or(part).to_owned(),
            text: found.text,
            fields: found.fields,
        });
    }
}

#[derive(Default)]
struct Fields {
    text: String,
    fields: BTreeMap<String, String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: &str) {
        let name = field.name();
        if name == "message" {
            self.text = cut(value, TEXT_MAX);
        } else if self.fields.len() < FIELDS_MAX && !is_secret(name) {
            self.fields.insert(name.to_owned(), cut(value, FIELD_MAX));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// At most so many characters; of control characters only line breaks stay.
pub(super) fn cut(text: &str, most: usize) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(most).map(shown).collect();
    if chars.next().is_some() { format!("{head}…") } else { head }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn written(write: impl FnOnce()) -> LogRing {
        let ring = LogRing::default();
        let layer = RingLayer { ring: ring.clone(), clock: Clock::manual(7) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), write);
        ring
    }

    #[test]
    fn a_line_is_kept_with_its_fields_and_without_what_lets_somebody_in() {
        let ring = written(|| {
            tracing::warn!(
                order.id = "o-1",
                trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                session.id = "s-secret",
                SessionId = "s-secret",
                count = 3,
                "an order \u{1b}[31mwaits"
            );
        });
        let (lines, count) = ring.since(0);
        assert_eq!((lines.len(), count), (1, 1));
        let line = &lines[0];
        assert_eq!((line.number, line.at, line.level, line.text.as_str()), (1, 7, Level::WARN, "an order  [31mwaits"));
        assert_eq!(line.trace(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(line.fields.keys().collect::<Vec<_>>(), ["count", "order.id", "trace_id"]);
        assert!(!format!("{line:?}").contains("s-secret"));
        assert!(line.part.ends_with("log_ring::tests"), "{}", line.part);
    }

    #[test]
    fn a_flood_of_lines_is_bounded_in_number_and_bytes_and_the_newest_stay() {
        let ring = written(|| (0..3_000).for_each(|number| tracing::info!(number, "short")));
        let (lines, count) = ring.since(0);
        assert_eq!((lines.len(), count), (LINES, 3_000));
        assert_eq!((lines[0].number, lines[LINES - 1].number), (1_001, 3_000));
        assert_eq!(ring.since(2_999).0.len(), 2);
        let text = "x".repeat(1 << 20);
        let ring = written(|| (0..3_000).for_each(|_| tracing::info!(text, "{text}")));
        let (lines, _) = ring.since(0);
        let bytes: usize = lines.iter().map(|line| line.bytes()).sum();
        assert!(bytes <= BYTES && lines.len() > 1_000, "{bytes} bytes in {} lines", lines.len());
        assert_eq!(lines.last().map(|line| line.number), Some(3_000));
    }
}
