//! What the HTTP server counts: by method, route template and status, never by path.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::telemetry::metrics::{Metrics, SECONDS};
use crate::telemetry::names::metric;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

/// The figures of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Figures {
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    active: Gauge,
}

impl Figures {
    /// Registers the figures; `listener` tells the two listeners apart.
    #[must_use]
    pub fn new(metrics: &Metrics, listener: &'static str) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let active = Gauge::default();
        let labels = [("listener", listener)];
        metrics.register(metric::HTTP_DURATION, "Time from a request's head to its answer", &labels, durations.clone());
        metrics.register(metric::HTTP_ACTIVE, "Requests being answered", &labels, active.clone());
        Self { durations, active }
    }

    /// Notes that a request began; it ends when the value is dropped.
    #[must_use]
    pub fn begin(&self) -> Active {
        self.active.inc();
        Active(self.active.clone())
    }

    /// Notes an answer.
    pub fn note(&self, method: &axum::http::Method, route: &str, status: axum::http::StatusCode, took: Duration) {
        let labels = Labels {
            http_request_method: known_method(method),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The figure of one method, route and status, for a path that is too hot to look it up.
    #[must_use]
    pub fn of(&self, method: &axum::http::Method, route: &str, status: axum::http::StatusCode) -> Histogram {
        let labels = Labels {
            http_request_method: known_method(method),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        };
        self.durations.get_or_create_owned(&labels)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Methods that clients invent must not become labels.
fn known_method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}
