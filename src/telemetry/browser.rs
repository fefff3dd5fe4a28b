//! Spans of the shop's own pages. Anybody can send some, so little of them is believed: names and attributes come from lists, the
//! resource is ours, times lie around now, and there are only so many a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::time::Instant;

use super::names::{attribute, span};
use super::spans;

/// Spans that are taken at once, and per second for long.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 50.0;
/// How far a page's clock may be off, and how long one of its spans may last.
const FAR: Duration = Duration::from_secs(10 * 60);

/// What a page says of something that it did.
#[derive(Debug, Clone, PartialEq)]
pub struct BrowserSpan {
    pub name: BrowserSpanName,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// The span below which it is.
    pub parent: Option<[u8; 8]>,
    /// In milliseconds since 1970, by the page's clock.
    pub start_ms: f64,
    pub end_ms: f64,
    pub product_id: Option<String>,
    pub failed: bool,
}

/// What a page may say that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserSpanName {
    ClickCheckout,
    RepaintProduct,
}

impl BrowserSpanName {
    /// Reads a span's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ClickCheckout, Self::RepaintProduct].into_iter().find(|name| name.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::ClickCheckout => span::CLICK_CHECKOUT,
            Self::RepaintProduct => span::REPAINT_PRODUCT,
        }
    }
}

static BUDGET: Mutex<Option<(f64, Instant)>> = Mutex::new(None);

/// Passes spans on to the collector; how many were taken. None where pages are not to send any.
pub fn take(given: Vec<BrowserSpan>) -> usize {
    let Some(queue) = spans::browser_queue() else { return 0 };
    let now = spans::now();
    let data = given.into_iter().filter_map(|span| data_of(span, now)).take_while(|_| is_in_budget());
    data.map(|data| queue.push(data)).count()
}

fn is_in_budget() -> bool {
    let mut budget = BUDGET.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let (left, at) = budget.unwrap_or((BURST, now));
    let left = (left + (now - at).as_secs_f64() * PER_SECOND).min(BURST);
    let is_in = left >= 1.0;
    *budget = Some((if is_in { left - 1.0 } else { left }, now));
    is_in
}

fn data_of(given: BrowserSpan, now: std::time::SystemTime) -> Option<SpanData> {
    let at = |millis: f64| {
        let since = Duration::try_from_secs_f64(millis / 1000.0).ok()?;
        let at = std::time::SystemTime::UNIX_EPOCH.checked_add(since)?;
        let off = now.duration_since(at).unwrap_or_else(|early| early.duration());
        (off <= FAR).then_some(at)
    };
    let (start_time, end_time) = (at(given.start_ms)?, at(given.end_ms)?);
    let is_named = given.trace_id != [0; 16] && given.span_id != [0; 8];
    if end_time < start_time || !is_named {
        return None;
    }
    let (trace_id, span_id) = (TraceId::from_bytes(given.trace_id), SpanId::from_bytes(given.span_id));
    Some(SpanData {
        span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: given.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: given.parent.is_some(),
        span_kind: SpanKind::Internal,
        name: given.name.as_str().into(),
        start_time,
        end_time,
        attributes: given.product_id.map(|id| KeyValue::new(attribute::PRODUCT_ID, id)).into_iter().collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if given.failed { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder("kartshoppe-browser").build(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_around_now_and_ids_are_some() {
        let now = spans::now();
        let now_ms = now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0;
        let name = BrowserSpanName::parse("click checkout").unwrap();
        let good = BrowserSpan {
            name,
            trace_id: [1; 16],
            span_id: [2; 8],
            parent: None,
            start_ms: now_ms - 5.0,
            end_ms: now_ms,
            product_id: None,
            failed: true,
        };
        let data = data_of(good.clone(), now).unwrap();
        assert_eq!((data.name.as_ref(), data.status), ("click checkout", Status::error("")));
        for bad in [
            BrowserSpan { start_ms: now_ms + 5.0, ..good.clone() },
            BrowserSpan { start_ms: 0.0, end_ms: 1.0, ..good.clone() },
            BrowserSpan { start_ms: f64::NAN, ..good.clone() },
            BrowserSpan { end_ms: f64::INFINITY, ..good.clone() },
            BrowserSpan { start_ms: -1.0, ..good.clone() },
            BrowserSpan { trace_id: [0; 16], ..good.clone() },
            BrowserSpan { span_id: [0; 8], ..good },
        ] {
            assert!(data_of(bad.clone(), now).is_none(), "{bad:?}");
        }
        assert_eq!(BrowserSpanName::parse("GET /admin"), None);
    }
}
