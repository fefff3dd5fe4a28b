//! From a carried trace context to a span and back.
//!
//! A span costs 1.4 to 4 µs even when it is not sampled, so code on the hot path asks [`TraceContext::is_sampled`] first and
//! carries the context otherwise untouched.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::context::{TRACEPARENT, TraceContext};

/// The span that `make` makes, as a child of the carried context; none where that is absent or not sampled.
#[must_use]
pub fn child(parent: Option<&TraceContext>, make: impl FnOnce() -> Span) -> Span {
    let Some(parent) = parent.filter(|parent| parent.is_sampled()) else { return Span::none() };
    let span = make();
    set_parent(&span, parent);
    span
}

/// What is carried on below `span`: its own context, or the one it was to join where nothing traces.
#[must_use]
pub fn below(span: &Span, parent: Option<TraceContext>) -> Option<TraceContext> {
    if span.is_none() { parent } else { context_of(span).or(parent) }
}

/// Makes `span` a child of the carried context.
pub fn set_parent(span: &Span, parent: &TraceContext) {
    let context = TraceContextPropagator::new().extract(&Carrier(Some(parent.to_string())));
    // Fails only when no OpenTelemetry layer listens: then there is no trace to join.
    let _ = span.set_parent(context);
}

/// Links `span` to another context: a batch is caused by many records and is the child of none.
pub fn add_link(span: &Span, to: &TraceContext) {
    let context = TraceContextPropagator::new().extract(&Carrier(Some(to.to_string())));
    span.add_link(context.span().span_context().clone());
}

/// The context of a span, to be carried on; `None` where nothing traces.
#[must_use]
pub fn context_of(span: &Span) -> Option<TraceContext> {
    let mut carrier = Carrier(None);
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.0.as_deref().and_then(TraceContext::parse)
}

struct Carrier(Option<String>);

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0.as_deref()).flatten()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}
