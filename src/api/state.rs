//! What routes use: handles, views and the store; never an actor, a log client or SQL.

use std::sync::Arc;

use super::figures::{Figures, ShopFigures};
use super::health::Readiness;
use super::operators::flow::Watch;
use super::packed::Packed;
use super::recorder::Recorder;
use super::server::{Lifeline, Seats};
use super::shop::affinity::AffinityHandle;
use super::shop::orders::TracePages;
use super::shop::status::StatusBoard;
use crate::actors::alert_desk::AlertHandle;
use crate::actors::catalog_view::CatalogHandle;
use crate::actors::fanout::FanoutHandle;
use crate::actors::faults::FaultBoard;
use crate::actors::inventory::ShardHandle;
use crate::actors::order_publisher::PublisherHandle;
use crate::actors::root::RootHandle;
use crate::actors::stats::Directory;
use crate::clock::Clock;
use crate::config::{Config, ShownKey};
use crate::log::EventLog;
use crate::log::partitioner::partition_of;
use crate::sources::wal::Wal;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// What the shop's routes and sockets share.
pub struct Shop {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub log: Arc<dyn EventLog>,
    pub store: Store,
    pub catalog: CatalogHandle,
    pub fanout: FanoutHandle,
    pub publisher: PublisherHandle,
    pub recorder: Recorder,
    pub affinity: AffinityHandle,
    pub status: StatusBoard,
    pub readiness: Readiness,
    pub packed: Packed,
    pub figures: ShopFigures,
    /// Whether spans leave this process.
    pub tracing: bool,
    /// Pages send spans of their own.
    pub browser_tracing: bool,
    /// Where an order's page leads to its trace.
    pub traces: TracePages,
    /// Work that outlives its request, and the news that the server stops.
    pub lifeline: Lifeline,
    /// Of connected pages.
    pub seats: Arc<Seats>,
}

/// What the operators' routes share.
pub struct Operators {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub log: Arc<dyn EventLog>,
    pub roles: RootHandle,
    pub faults: FaultBoard,
    pub directory: Directory,
    /// One per partition, whether it is ours or not.
    pub shards: Arc<Vec<ShardHandle>>,
    pub alerts: AlertHandle,
    pub store: Store,
    pub metrics: Metrics,
    /// Of this listener.
    pub figures: Figures,
    pub readiness: Readiness,
    pub process: Process,
    pub wal: Wal,
    pub watch: Watch,
    /// Of this listener: streams end with it.
    pub lifeline: Lifeline,
}

/// This process, as operators tell it from others.
pub struct Process {
    pub instance: String,
    pub started_at_ms: i64,
    /// Where shoppers find the shop.
    pub shop: String,
    /// Whether spans leave this process.
    pub tracing: bool,
    /// Every key of the configuration, secrets hidden.
    pub settings: Arc<Vec<ShownKey>>,
}

impl Operators {
    /// The shard that a product belongs to.
    #[must_use]
    pub fn shard_of(&self, product_id: &str) -> Option<&ShardHandle> {
        let count = i32::try_from(self.shards.len()).ok().filter(|count| *count > 0)?;
        let partition = partition_of(product_id.as_bytes(), count);
        self.shards.iter().find(|shard| shard.partition == partition)
    }
}
