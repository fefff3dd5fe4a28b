//! The spans of changes on their way to pages.

use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::SpanKind;

use crate::actors::catalog_view::{ChangeNote, TakenChanges};
use crate::config::RoleName;
use crate::telemetry::names::{attribute, span};
use crate::telemetry::spans::Span;

/// Of the changes of one flush whose trace is sampled: they last until the first socket has taken their frames.
#[derive(Debug)]
pub struct PushSpans(Mutex<Vec<Span>>);

impl PushSpans {
    /// Begins them; `None` if no trace is sampled.
    pub(super) fn begin(taken: &TakenChanges, pages: u64) -> Option<Self> {
        let pages = i64::try_from(pages).unwrap_or(i64::MAX);
        let push = |note: &ChangeNote| {
            let push = Span::child(RoleName::Api, SpanKind::Internal, span::FANOUT_PUSH, note.trace.as_ref()).some()?;
            let mut push = push.with(attribute::PAGES, pages);
            note.others.iter().for_each(|other| push.link(other));
            Some(push)
        };
        let spans: Vec<Span> = taken.notes.values().filter_map(push).collect();
        (!spans.is_empty()).then(|| Self(Mutex::new(spans)))
    }

    /// A socket has taken the frames. The first one ends them.
    pub fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
