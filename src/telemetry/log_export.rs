//! The log by OTLP: each line as a record with its severity, fields and trace, and without credentials.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::batches::{BatchQueue, ExportCounts, Outlet, Report};
use super::log_ring::{FIELDS_MAX, cut, is_secret};
use super::otlp_client::TlsError;
use super::otlp_messages::{Messenger, key_value, nanos_now};
use super::otlp_target::{BatchLimits, Otlp};
use super::traced_lines::{TRACE_ID, sampled};

/// Characters of a line's text and of a field: a backtrace may be long.
const TEXT_MAX: usize = 4_000;
/// What sending itself has to say would be sent again.
const OWN_PARTS: [&str; 6] = ["hyper", "h2", "tonic", "tower", "rustls", "opentelemetry"];

/// The way to the collector for log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LogExport(BatchQueue<(&'static str, LogRecord)>);

impl LogExport {
    /// Starts the task that sends.
    ///
    /// # Errors
    /// [`TlsError`]
    pub(super) fn start(otlp: &Otlp, limits: BatchLimits, resource: Resource) -> Result<Self, TlsError> {
        let outlet = LogOutlet { messenger: Messenger::new(otlp)?, resource };
        Ok(Self(BatchQueue::start(outlet, limits, Report::new("log lines", otlp))))
    }

    pub(super) fn counts(&self) -> &Arc<ExportCounts> {
        self.0.counts()
    }

    pub(super) async fn flush(&self) {
        self.0.flush().await;
    }
}

struct LogOutlet {
    messenger: Messenger,
    resource: Resource,
}

impl Outlet for LogOutlet {
    /// The part of the program that logged, and what.
    type Item = (&'static str, LogRecord);

    async fn send(&self, batch: Vec<Self::Item>, report: &Report) {
        let count = batch.len() as u64;
        let mut parts: BTreeMap<&str, Vec<LogRecord>> = BTreeMap::new();
        for (part, record) in batch {
            parts.entry(part).or_default().push(record);
        }
        let scope_logs = parts.into_iter().map(|(part, log_records)| ScopeLogs {
            scope: Some(InstrumentationScope { name: part.to_owned(), ..InstrumentationScope::default() }),
            log_records,
            ..ScopeLogs::default()
        });
        let resource = Some(self.resource.clone());
        let logs = ResourceLogs { resource, scope_logs: scope_logs.collect(), ..ResourceLogs::default() };
        report.note(count, self.messenger.send_logs(ExportLogsServiceRequest { resource_logs: vec![logs] }).await);
    }
}

impl<S: Subscriber> Layer<S> for LogExport {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let part = event.metadata().target();
        let crate_name = part.split("::").next().unwrap_or(part);
        if !OWN_PARTS.iter().any(|own| crate_name.starts_with(own)) {
            self.0.push((part, record(event)));
        }
    }
}

fn record(event: &Event<'_>) -> LogRecord {
    let mut found = RecordFields::default();
    event.record(&mut found);
    let level = event.metadata().level();
    let now = nanos_now();
    let trace = sampled();
    LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: severity(level).into(),
        severity_text: level.to_string(),
        body: Some(AnyValue { value: Some(Value::StringValue(found.text)) }),
        attributes: found.attributes,
        dropped_attributes_count: found.left_out,
        flags: trace.as_ref().map_or(0, |trace| u32::from(trace.flags)),
        trace_id: trace.as_ref().map(|trace| trace.trace_id.to_vec()).or(found.trace_id).unwrap_or_default(),
        span_id: trace.map(|trace| trace.span_id.to_vec()).unwrap_or_default(),
        ..LogRecord::default()
    }
}

fn severity(level: &Level) -> SeverityNumber {
    match *level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    }
}

/// A line's fields with their types.
#[derive(Default)]
struct RecordFields {
    text: String,
    /// Of a line that names its trace itself.
    trace_id: Option<Vec<u8>>,
    attributes: Vec<KeyValue>,
    left_out: u32,
}

impl RecordFields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if self.attributes.len() >= FIELDS_MAX || is_secret(name) {
            self.left_out += 1;
            return;
        }
        // Attributes have a namespace: that of a convention, or ours.
        let name = if name.contains('.') { name.to_owned() } else { format!("kartshoppe.{name}") };
        self.attributes.push(key_value(name, value));
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.text = cut(text, TEXT_MAX),
            TRACE_ID => self.trace_id = u128::from_str_radix(text, 16).ok().map(|id| id.to_be_bytes().to_vec()),
            _ => self.put(field, Value::StringValue(cut(text, TEXT_MAX))),
        }
    }
}

impl Visit for RecordFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::DoubleValue(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::BoolValue(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::context::TraceContext;
    use crate::telemetry::spans;

    #[derive(Default, Clone)]
    struct Kept(Arc<Mutex<Vec<LogRecord>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            self.0.lock().unwrap().push(record(event));
        }
    }

    #[test]
    fn a_record_has_types_severity_and_trace_and_nothing_that_lets_somebody_in() {
        let kept = Kept::default();
        let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept.clone()), || {
            spans::within(trace.as_ref(), || {
                tracing::warn!(kartshoppe.order.id = "o-1", count = 3, done = true, sessionId = "s-secret", "an order waits");
            });
            tracing::error!(trace_id = "4bf92f3577b34da6a3ce929d0e0e4736", "a request failed");
        });
        let records = kept.0.lock().unwrap().clone();
        let [warned, failed] = &records[..] else { panic!("{records:?}") };
        assert_eq!((warned.severity_number(), warned.severity_text.as_str()), (SeverityNumber::Warn, "WARN"));
        assert_eq!((warned.flags, warned.dropped_attributes_count), (1, 1));
        assert_eq!(warned.span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!(warned.trace_id, failed.trace_id);
        assert_eq!((warned.trace_id[0], failed.attributes.len(), failed.span_id.len()), (0x4b, 0, 0));
        let of = |key: &str| warned.attributes.iter().find(|it| it.key == key).and_then(|it| it.value.clone()?.value);
        assert_eq!(of("kartshoppe.order.id"), Some(Value::StringValue("o-1".to_owned())));
        assert_eq!(of("kartshoppe.count"), Some(Value::IntValue(3)));
        assert_eq!(of("kartshoppe.done"), Some(Value::BoolValue(true)));
        assert!(!format!("{records:?}").contains("s-secret"));
    }
}
