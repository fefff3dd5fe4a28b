//! The path of a purchase as a graph with its present rates, and the one stream that keeps consoles current.
//!
//! ```text
//!  counters, positions, ends of topics ─► meter ─► nodes, edges ─► frame ─► feed (1 Hz, only while there are viewers) ─► viewers
//!                                           └────────────────────► GET /admin/flow
//! ```
//! It queries no actor: observation must not add load.

mod feed;
mod frame;
mod meter;
mod nodes;
mod picture;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::feed::Feed;
use self::frame::AlertCache;
use self::meter::Meter;
use self::picture::{Behind, PARTS, edges, topics};
use super::stream;
use crate::actors::alert_desk::AlertHandle;
use crate::actors::catalog_view::CatalogHandle;
use crate::actors::fanout::FanoutHandle;
use crate::actors::inventory::Inventory;
use crate::actors::order_publisher::PublisherHandle;
use crate::actors::order_tracker::TrackerHandle;
use crate::actors::stats::Directory;
use crate::api::figures::ShopFigures;
use crate::api::server::Lifeline;
use crate::api::state::Operators;
use crate::clock::Clock;
use crate::config::RoleName;
use crate::log::EventLog;
use crate::sources::wal::Wal;
use crate::store::Store;
use crate::telemetry::alarms::Alarms;
use crate::wire::console::flow::{Flow, FlowEdge, FlowNode, NodeKind};
use crate::wire::console::live;

/// How often viewers get a frame.
const EVERY: Duration = Duration::from_secs(1);
/// An older measurement says nothing about the present rates.
const FRESH: Duration = Duration::from_secs(3);
/// Time between two measurements for a single request.
const SPAN: Duration = Duration::from_millis(1000);

/// Where the figures come from: handles that are read without sending a message.
pub struct FlowSources {
    pub clock: Clock,
    pub log: Arc<dyn EventLog>,
    pub is_embedded: bool,
    pub store: Store,
    pub catalog: CatalogHandle,
    pub fanout: FanoutHandle,
    pub publisher: PublisherHandle,
    pub tracker: TrackerHandle,
    pub alerts: AlertHandle,
    pub inventory: Inventory,
    pub wal: Wal,
    pub shop: ShopFigures,
    pub alarms: Alarms,
    pub directory: Directory,
    /// The configured roles of this process.
    pub roles: Vec<RoleName>,
}

/// The flow as the console shows it. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    sampler: Arc<FlowSampler>,
    feed: Feed,
}

struct FlowSampler {
    sources: FlowSources,
    measuring: Mutex<Measuring>,
}

#[derive(Default)]
struct Measuring {
    meter: Meter,
    alerts: AlertCache,
}

impl Watch {
    /// Nothing is measured before the first viewer or request.
    #[must_use]
    pub fn new(sources: FlowSources, lifeline: &Lifeline) -> Self {
        let sampler = Arc::new(FlowSampler { sources, measuring: Mutex::default() });
        let measured = sampler.clone();
        let take = move || {
            let sampler = measured.clone();
            let frame: feed::Taking = Box::pin(async move { sampler.frame().await });
            frame
        };
        Self { sampler, feed: Feed::new(EVERY, Box::new(take), lifeline.clone()) }
    }
}

impl FlowSampler {
    async fn frame(&self) -> Bytes {
        let mut measuring = self.measuring.lock().await;
        let Measuring { meter, alerts } = &mut *measuring;
        meter.measure(&self.sources).await;
        let open = alerts.open(&self.sources.alerts);
        frame::encode(frame::take(&self.sources, meter, open), live::MAX_BYTES)
    }

    /// The graph with the rates of the last seconds, measured now unless a console is connected.
    async fn flow(&self) -> Flow {
        let mut measuring = self.measuring.lock().await;
        let meter = &mut measuring.meter;
        if meter.measured_at.is_none_or(|at: Instant| at.elapsed() > FRESH) {
            *meter = Meter::default();
            meter.measure(&self.sources).await;
            tokio::time::sleep(SPAN).await;
            meter.measure(&self.sources).await;
        }
        let figures = nodes::all(&self.sources, meter);
        let part = |part: &picture::Part| {
            let kind = if part.role.is_some() { NodeKind::Part } else { NodeKind::Outside };
            (part.name, kind, part.role.map(RoleName::as_str), part.kinds.iter().map(|kind| kind.as_str()).collect())
        };
        let described = PARTS.iter().map(part).chain(topics().map(|topic| (topic.name(), NodeKind::Topic, None, Vec::new())));
        let node = |((name, kind, role, actors), figures)| FlowNode { name, kind, role, actors, figures };
        let edge = |edge: &picture::Edge| FlowEdge {
            from: edge.from,
            to: edge.to,
            carries: edge.carries,
            unit: if edge.behind == Behind::WalBytes { "bytes" } else { "records" },
            figures: meter.edge(edge, &self.sources),
        };
        Flow { nodes: described.zip(figures).map(node).collect(), edges: edges().iter().map(edge).collect() }
    }
}

/// The flow of a purchase: what each node is doing, and what passes each edge per second.
#[utoipa::path(get, path = "/admin/flow", tag = "operators", responses((status = 200, body = Flow)))]
pub async fn read(State(operators): State<Arc<Operators>>) -> Json<Flow> {
    Json(operators.watch.sampler.flow().await)
}

/// How the process is, once a second: a stream of server-sent events, each with one `Live` of at most 4,000 bytes. A viewer that
/// does not keep up gets the newest one only.
#[utoipa::path(get, path = "/admin/live", tag = "operators",
    responses((status = 200, content_type = "text/event-stream", body = live::Live)))]
pub fn watch(State(operators): State<Arc<Operators>>) -> Ready<Response> {
    let frames = operators.watch.feed.subscribe();
    ready(stream::latest(frames, operators.lifeline.stop.clone()))
}
