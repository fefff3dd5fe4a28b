//! Logs, metrics and traces: names in one place, a trace context that is cheap to carry, and the set-up.
//!
//! ```text
//!  tracing ─┬─► queue ─► standard error (human or JSON)
//!           ├─► queue ─► DATA_DIR/logs/kartshoppe.log (JSON, a new file each day and when one is full)
//!           └─► log_ring: the newest lines, for the console
//!  spans::Span ─► queue ─► OTLP, only when an endpoint is set (OTEL_EXPORTER_OTLP_ENDPOINT)
//!  metrics::Metrics ─► GET /metrics of the operators' listener
//! ```

pub mod alarms;
mod asked;
pub mod browser;
mod causes;
pub mod context;
pub mod export;
mod exposition;
pub mod families;
mod log_files;
pub mod log_ring;
pub mod metrics;
pub mod names;
mod otel_env;
mod otlp_client;
pub mod panics;
pub mod process;
pub mod promises;
mod queue;
pub mod sampling;
pub mod seldom;
pub mod setup;
pub mod spans;
