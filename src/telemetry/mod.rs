//! Logs, metrics and traces: names in one place, a trace context that is cheap to carry, and the set-up.
//!
//! ```text
//!  tracing ─┬─► queue ─► standard error (human or JSON)
//!           ├─► queue ─► DATA_DIR/logs/kartshoppe.log (JSON, rotated daily)
//!           └─► OpenTelemetry ─► OTLP, only when an endpoint is set (OTEL_EXPORTER_OTLP_ENDPOINT)
//!  metrics::Metrics ─► GET /metrics of the operators' listener
//! ```

pub mod alarms;
mod asked;
mod causes;
pub mod context;
pub mod metrics;
pub mod names;
pub mod panics;
mod queue;
pub mod seldom;
pub mod setup;
pub mod spans;
