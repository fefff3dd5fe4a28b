//! Spans: made only where a trace is sampled, and carried on as a [`TraceContext`].
//!
//! A span costs a microsecond or two, so code on the hot path carries the context and asks its sampled flag first; without it,
//! and where nothing traces, every call here is a test of a flag. Each role has a tracer of its own, so that a service map shows
//! the parts; who they are and what is sampled is set once, by `setup`.

use std::borrow::Cow;
use std::future::Future;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::context::{FutureExt, WithContext};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::context::TraceContext;
use super::export::SpanQueue;
use super::names::attribute;
use super::sampling::{Root, Sampling};
use crate::config::RoleName;

static TRACERS: OnceLock<Tracers> = OnceLock::new();

/// What spans are made of in this process.
#[derive(Debug)]
pub(super) struct Tracers {
    pub api: SdkTracer,
    pub inventory: SdkTracer,
    pub cdc: SdkTracer,
    /// Takes spans of pages, if they are to send some.
    pub browser: Option<SpanQueue>,
    pub sampling: Sampling,
    /// What `messaging.system` says of the event log.
    pub messaging_system: &'static str,
}

impl Tracers {
    fn of(&self, role: RoleName) -> &SdkTracer {
        match role {
            RoleName::Api => &self.api,
            RoleName::Inventory => &self.inventory,
            RoleName::Cdc => &self.cdc,
        }
    }
}

/// From now on spans are made.
pub(super) fn install(tracers: Tracers) {
    // A second set-up is refused before it comes here.
    let _ = TRACERS.set(tracers);
}

/// Whether spans leave this process.
#[must_use]
pub fn is_on() -> bool {
    TRACERS.get().is_some()
}

/// Where spans of pages go.
pub(super) fn browser_queue() -> Option<&'static SpanQueue> {
    TRACERS.get()?.browser.as_ref()
}

/// What becomes of a request or record at the edge of the shop: the context to carry on, and whether a span is made.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub trace: Option<TraceContext>,
    pub is_recorded: bool,
}

impl Entry {
    /// Whether a request is recorded. Reads of the catalogue come by the ten thousand: the client's context is read only where
    /// spans are made, and its `tracestate`, which decides nothing, may be missing.
    #[must_use]
    pub fn decide(root: Root, client: impl FnOnce() -> Option<TraceContext>) -> bool {
        let Some(tracers) = TRACERS.get() else { return false };
        match client().filter(|_| tracers.sampling.joins_traces) {
            // A caller that decided against sampling is not overruled.
            Some(client) => client.is_sampled() && tracers.sampling.keeps(root, &client),
            None => tracers.sampling.wants(root, None),
        }
    }

    /// The entry of a client's request for which this was decided. Its trace id is kept; that it asks to be sampled counts only
    /// where the configuration says so.
    #[must_use]
    pub fn of_client(is_recorded: bool, client: Option<TraceContext>) -> Self {
        let Some(tracers) = TRACERS.get() else { return Self { trace: client, is_recorded: false } };
        let client = client.filter(|_| tracers.sampling.joins_traces);
        Self { trace: if is_recorded { client } else { client.map(TraceContext::unsampled) }, is_recorded }
    }
}

/// A span that ends when it is dropped, or none.
#[derive(Debug, Default)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// No span.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// A child of the carried context; none where that is absent or not sampled.
    #[must_use]
    pub fn child(role: RoleName, kind: SpanKind, name: impl Into<Cow<'static, str>>, parent: Option<&TraceContext>) -> Self {
        match parent.filter(|parent| parent.is_sampled()) {
            Some(parent) => Self::start(role, kind, name, Some(parent), None),
            None => Self::none(),
        }
    }

    /// A span below this one.
    #[must_use]
    pub fn child_of(&self, role: RoleName, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Self {
        match &self.0 {
            Some(parent) => Self::start_in(role, kind, name, Some(parent.span_context().clone()), None),
            None => Self::none(),
        }
    }

    /// A span that is recorded whatever the context says: a trace that begins here, or a client's whose request is sampled here.
    #[must_use]
    pub fn root(role: RoleName, kind: SpanKind, name: impl Into<Cow<'static, str>>, parent: Option<&TraceContext>) -> Self {
        Self::start(role, kind, name, parent, None)
    }

    /// The root of a trace, if its kind is sampled.
    #[must_use]
    pub fn of_root(role: RoleName, kind: SpanKind, name: impl Into<Cow<'static, str>>, root: Root) -> Self {
        let is_wanted = TRACERS.get().is_some_and(|tracers| tracers.sampling.wants(root, None));
        if is_wanted { Self::start(role, kind, name, None, None) } else { Self::none() }
    }

    /// A child that began earlier.
    #[must_use]
    pub fn child_since(
        role: RoleName,
        kind: SpanKind,
        name: &'static str,
        parent: Option<&TraceContext>,
        at: SystemTime,
    ) -> Self {
        let parent = parent.filter(|parent| parent.is_sampled());
        parent.map_or_else(Self::none, |parent| Self::start(role, kind, name, Some(parent), Some(at)))
    }

    /// The span of a record's handling: a child of the record's context, or the root of a trace if it has none and its topic's
    /// are sampled. It began when the record was there.
    #[must_use]
    pub fn of_record(role: RoleName, name: &'static str, root: Root, parent: Option<&TraceContext>, at: SystemTime) -> Self {
        let is_wanted = match parent {
            Some(parent) => parent.is_sampled(),
            None => TRACERS.get().is_some_and(|tracers| tracers.sampling.wants(root, None)),
        };
        if is_wanted { Self::start(role, SpanKind::Consumer, name, parent, Some(at)) } else { Self::none() }
    }

    /// With the end that it had.
    pub fn end_at(mut self, at: SystemTime) {
        if let Some(span) = &mut self.0 {
            span.end_with_timestamp(at);
        }
    }

    fn start(
        role: RoleName,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        parent: Option<&TraceContext>,
        at: Option<SystemTime>,
    ) -> Self {
        if !is_on() {
            return Self::none();
        }
        Self::start_in(role, kind, name, parent.map(span_context), at)
    }

    fn start_in(
        role: RoleName,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        parent: Option<SpanContext>,
        at: Option<SystemTime>,
    ) -> Self {
        let Some(tracers) = TRACERS.get() else { return Self::none() };
        let tracer = tracers.of(role);
        let mut builder = tracer.span_builder(name).with_kind(kind);
        builder.start_time = at;
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = tracer.build_with_context(builder, &context);
        Self(span.is_recording().then(|| Box::new(span)))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// This span, if it is one.
    #[must_use]
    pub fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }

    /// Sets an attribute. Numbers stay numbers.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// With what is said of every operation on the event log.
    #[must_use]
    pub fn messaging(self, operation: &'static str, operation_type: &'static str, destination: &'static str) -> Self {
        if self.is_none() {
            return self;
        }
        self.with(attribute::MESSAGING_SYSTEM, TRACERS.get().map_or("kafka", |tracers| tracers.messaging_system))
            .with(attribute::MESSAGING_OPERATION_NAME, operation)
            .with(attribute::MESSAGING_OPERATION_TYPE, operation_type)
            .with(attribute::MESSAGING_DESTINATION_NAME, destination)
    }

    /// Says that what it stands for failed, where it failed.
    pub fn fail(&mut self, error_type: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(""));
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type.into()));
        }
    }

    /// Links it to another span.
    pub fn link(&mut self, to: &TraceContext) {
        if let Some(span) = &mut self.0 {
            span.add_link(span_context(to), Vec::new());
        }
    }

    /// The context to carry on below it; `None` for no span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|span| trace_context(span.span_context()))
    }

    /// What is carried on below it: its own context, or the one it was to join where there is no span.
    #[must_use]
    pub fn below(&self, parent: Option<TraceContext>) -> Option<TraceContext> {
        self.context().or(parent)
    }
}

/// The time as spans count it: the system's, also where a drill moves the shop's clock.
#[must_use]
pub fn now() -> SystemTime {
    opentelemetry::time::now()
}

/// Runs `work` as part of a trace, so that [`current`] names it. Tasks that `work` spawns are not part of it.
pub fn scope<F: Future>(trace: Option<&TraceContext>, work: F) -> WithContext<F> {
    let context = match trace {
        Some(trace) => Context::new().with_remote_span_context(span_context(trace)),
        None => Context::new(),
    };
    work.with_context(context)
}

/// Does something short as part of a trace, as [`scope`] does for a task. Without a trace it stays part of the one that it is in.
pub fn within<T>(trace: Option<&TraceContext>, work: impl FnOnce() -> T) -> T {
    let _attached = trace.map(|trace| Context::new().with_remote_span_context(span_context(trace)).attach());
    work()
}

/// The context of the only one of these spans: what several share belongs to none of their traces.
#[must_use]
pub fn only<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Option<TraceContext> {
    let mut traces = spans.into_iter().filter_map(Span::context);
    traces.next().filter(|_| traces.next().is_none())
}

/// The trace that the running task works for.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(|context| context.has_active_span().then(|| trace_context(context.span().span_context())))
}

fn span_context(trace: &TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.trace_id),
        SpanId::from_bytes(trace.span_id),
        TraceFlags::new(trace.flags),
        trace.is_remote,
        trace.state.as_deref().and_then(|state| state.parse().ok()).unwrap_or(TraceState::NONE),
    )
}

fn trace_context(span: &SpanContext) -> TraceContext {
    let state = span.trace_state().header();
    TraceContext {
        trace_id: span.trace_id().to_bytes(),
        span_id: span.span_id().to_bytes(),
        flags: span.trace_flags().to_u8(),
        state: (!state.is_empty()).then(|| state.into()),
        is_remote: span.is_remote(),
    }
}
