//! What the listeners count: by method, route template and status, never by path; and what pages do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::recorder::RecorderCounts;
use super::server::EndedCounts;
use super::socket::SocketCounts;
use crate::actors::alert_desk::AlertHandle;
use crate::actors::fanout::{Counts, FanoutHandle};
use crate::store::PublishVia;
use crate::telemetry::families as family;
use crate::telemetry::metrics::{Metrics, SECONDS};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    listener: &'static str,
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

/// The figures of every listener: registered once, as each family is exposed once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpFigures {
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    active: Family<ListenerLabel, Gauge>,
}

impl HttpFigures {
    /// Registers the figures.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let active = Family::<ListenerLabel, Gauge>::default();
        metrics.register(&family::HTTP_DURATION, durations.clone());
        metrics.register(&family::HTTP_ACTIVE, active.clone());
        Self { durations, active }
    }

    /// Those of one listener.
    #[must_use]
    pub fn of(&self, listener: &'static str) -> Figures {
        let active = self.active.get_or_create_owned(&ListenerLabel { listener });
        Figures { listener, durations: self.durations.clone(), active, requests: Arc::default() }
    }
}

/// The figures of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Figures {
    listener: &'static str,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    active: Gauge,
    /// Requests so far, whatever their outcome.
    pub requests: Arc<AtomicU64>,
}

impl Figures {
    /// Notes that a request began; it ends when the value is dropped.
    #[must_use]
    pub fn begin(&self) -> Active {
        self.active.inc();
        Active(self.active.clone())
    }

    /// Notes an answer.
    pub fn note(&self, method: &axum::http::Method, route: &str, status: axum::http::StatusCode, took: Duration) {
        let labels = RequestLabels {
            listener: self.listener,
            http_request_method: known_method(method),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The figure of one method, route and status, for a path that is too hot for a look-up.
    #[must_use]
    pub fn of(&self, method: &axum::http::Method, route: &str, status: axum::http::StatusCode) -> Histogram {
        let labels = RequestLabels {
            listener: self.listener,
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

/// The label of all methods that HTTP does not define: clients can invent any number of them.
pub(super) const OTHER_METHOD: &str = "_OTHER";

/// Methods that clients invent must not become labels.
pub(super) fn known_method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => OTHER_METHOD,
    }
}

/// The figures of the shop's listener: registered once, shared by all incarnations of the listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShopFigures {
    pub http: Figures,
    pub connections: Arc<EndedCounts>,
    pub sockets: Arc<SocketCounts>,
    pub recorder: Arc<RecorderCounts>,
    pub placed: Arc<PlacedCounts>,
}

/// Orders that were placed, by the way their items are published.
#[derive(Debug, Default)]
pub struct PlacedCounts {
    direct: AtomicU64,
    wal: AtomicU64,
}

impl PlacedCounts {
    /// How many there were.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.direct.load(Ordering::Relaxed) + self.wal.load(Ordering::Relaxed)
    }

    /// Counts one.
    pub fn count(&self, way: PublishVia) {
        let counter = match way {
            PublishVia::Direct => &self.direct,
            PublishVia::Wal => &self.wal,
            PublishVia::History => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl ShopFigures {
    /// Registers everything that the shop's listener counts.
    #[must_use]
    pub fn register(metrics: &Metrics, http: &HttpFigures, fanout: &FanoutHandle) -> Self {
        let figures = Self {
            http: http.of("shop"),
            connections: Arc::default(),
            sockets: Arc::default(),
            recorder: Arc::default(),
            placed: Arc::default(),
        };
        let placed = figures.placed.clone();
        metrics.observe(&family::ORDERS_PLACED, move || labelled("way", &[("direct", &placed.direct), ("wal", &placed.wal)]));
        register_pushes(metrics, fanout);
        let ended = figures.connections.clone();
        metrics.observe(&family::CONNECTION_CUTS, move || labelled("cause", &[("seat", &ended.seat), ("memory", &ended.memory)]));
        let waiting = fanout.waiting().clone();
        #[expect(clippy::cast_precision_loss, reason = "a number of bytes")]
        metrics.observe(&family::WAITING_BYTES, move || vec![(Vec::new(), waiting.bytes() as f64)]);
        let sockets = figures.sockets.clone();
        metrics.observe(&family::PAGE_MESSAGES, move || {
            labelled("outcome", &[("taken", &sockets.messages), ("ignored", &sockets.ignored)])
        });
        let sockets = figures.sockets.clone();
        metrics.observe(&family::PAGE_CUTS, move || {
            let SocketCounts { violations, stalled, slow, seat, memory, .. } = &*sockets;
            let rules = [("violation", violations), ("stalled", stalled), ("slow", slow), ("seat", seat), ("memory", memory)];
            labelled("cause", &rules)
        });
        let recorder = figures.recorder.clone();
        metrics.observe(&family::TRACKED, move || {
            labelled("outcome", &[("written", &recorder.written), ("dropped", &recorder.dropped)])
        });
        figures
    }
}

fn register_pushes(metrics: &Metrics, fanout: &FanoutHandle) {
    let pages = fanout.clone();
    metrics.observe_one(&family::PAGES, move || Some(pages.pages() as f64));
    let counts = fanout.counts();
    let frames = vec![("product", counts.product_seconds.clone()), ("order", counts.order_seconds.clone())];
    metrics.register_each(&family::PAGE_TOLD_SECONDS, frames);
    let pushed = fanout.clone();
    metrics.observe(&family::FRAMES, move || {
        let counts = pushed.counts();
        let (all, syncs) = (counts.frames.load(Ordering::Relaxed), counts.syncs.load(Ordering::Relaxed));
        let kinds = [("update", all.saturating_sub(syncs)), ("sync", syncs)];
        kinds.map(|(kind, count)| (vec![("kind", kind.to_owned())], count as f64)).to_vec()
    });
    type Counter = fn(&Counts) -> &AtomicU64;
    let counters: [(_, Counter); 3] = [
        (&family::FRAMES_DROPPED, |counts| &counts.dropped),
        (&family::FRAMES_COALESCED, |counts| &counts.coalesced),
        (&family::PAGE_RESYNCS, |counts| &counts.fell_behind),
    ];
    for (family, of) in counters {
        let pushed = fanout.clone();
        metrics.observe_one(family, move || Some(of(pushed.counts()).load(Ordering::Relaxed) as f64));
    }
    let pushed = fanout.clone();
    metrics.observe_one(&family::PUSH_PENDING_SECONDS, move || Some(pushed.oldest_unpushed().as_secs_f64()));
}

/// Registers how many alerts there were.
pub fn register_alerts(metrics: &Metrics, alerts: &AlertHandle) {
    let alerts = alerts.clone();
    #[expect(clippy::cast_precision_loss, reason = "a number of alerts")]
    metrics.observe(&family::ALERTS, move || {
        let counts = alerts.counts();
        let severities = [("INFO", counts.info), ("WARNING", counts.warning), ("CRITICAL", counts.critical)];
        severities.iter().map(|(severity, count)| (vec![("severity", (*severity).to_owned())], *count as f64)).collect()
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn labelled(label: &'static str, counts: &[(&str, &AtomicU64)]) -> Vec<(Vec<(&'static str, String)>, f64)> {
    let value = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    counts.iter().map(|(name, count)| (vec![(label, (*name).to_owned())], value(count))).collect()
}
