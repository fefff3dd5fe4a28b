//! Logs, metrics and traces: names in one place, a trace context that is cheap to carry, and the set-up.

pub mod context;
