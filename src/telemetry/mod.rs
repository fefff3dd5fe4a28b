//! Logs, metrics and traces: names in one place, a trace context that is cheap to carry, and the set-up.
//!
//! ```text
//!  tracing ─┬─► queue ─► standard error (human or JSON)
//!           ├─► queue ─► DATA_DIR/logs/kartshoppe.log (JSON, a new file each day and when one is full)
//!           ├─► log_ring: the newest lines, for the console
//!           └─► batches ─► OTLP, where OTEL_LOGS_EXPORTER asks for it
//!  spans::Span ─► batches ─► OTLP, only when an endpoint is set (OTEL_EXPORTER_OTLP_ENDPOINT)
//!  metrics::Metrics ─┬─► GET /metrics of the operators' listener
//!                    └─► OTLP, where OTEL_METRICS_EXPORTER asks for it
//! ```

pub mod alarms;
mod asked;
pub mod batches;
pub mod browser;
mod causes;
pub mod context;
pub mod export;
mod exposition;
pub mod families;
mod log_export;
mod log_files;
pub mod log_ring;
mod metric_export;
pub mod metrics;
pub mod names;
mod otel_env;
mod otlp_client;
mod otlp_messages;
mod otlp_target;
pub mod panics;
pub mod process;
pub mod promises;
mod queue;
pub mod sampling;
pub mod seldom;
pub mod setup;
pub mod spans;
mod traced_lines;
