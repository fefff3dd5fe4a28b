//! The inventory: products that own their stock, fed with batches of commands, with one transaction of the log per batch.
//!
//! ```text
//!  source ── Part ──► shard ── ProductWork ──► product
//!    │ ▲                ▲ │                       │ ProductReply
//!    │ │                │ │        collector ◄────┘
//!    │ │                └─────────────┘ the last reply wakes the shard
//!    │ │                  │ ShardOutput
//!    │ └─ Transaction ─ committer
//!    └──► session.commit: outputs and input positions at once ──► the shards take over their new states
//! ```
//! The life of a batch, in reading order:
//! 1. [`batch`]: what a source dispatches, one `Part` per partition, grouped by product;
//! 2. `shard`: begins its part, sends each product its commands, and retries those whose actor ends;
//! 3. `product`: applies the commands by the rules of `domain`; `outputs`: the records that follow;
//! 4. `collector`: the replies of the products; the last one has the shard deliver its output;
//! 5. `committer`: gathers the outputs of all shards into one `transaction`, which the owner of the session commits: the source;
//! 6. [`batch_state`]: decides whether a batch is still gathered, being committed, or settled. Then the source dispatches the
//!    next one.
//!
//! `news` is what shards and committer report to the source: outputs, and that they have restarted.
//!
//! This file wires the parts. It knows no source: `app` hands one in, which gets a [`Feed`]. `metrics` is what all of them count.

pub(crate) mod batch;
pub(crate) mod batch_state;
mod collector;
mod committer;
mod metrics;
mod news;
mod outputs;
mod product;
mod shard;
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use self::batch::INVENTORY_GROUP;
pub(crate) use self::committer::CommitterHandle;
use self::committer::{Committer, CommitterContext};
pub use self::metrics::{EngineMetrics, ProductEnd};
pub(crate) use self::news::{FeedNews, NotifySource};
use self::product::ProductContext;
pub use self::shard::{ProductReport, ShardGauge, ShardHandle};
use self::shard::{Shard, ShardContext};
pub(crate) use self::transaction::Transaction;
use crate::actors::kit::Mailbox;
use crate::actors::role::{MakeChildren, SupervisionContext};
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::clock::{Clock, in_ms};
use crate::domain::inventory::{InputTopic, Rules};
use crate::log::{EventLog, PartitionId, SessionConfig};
use crate::wire::topics::Topic;

/// What the inventory's commits write: outputs, dead letters, and records moved to their right partition.
const WRITES: [Topic; 7] = [
    Topic::ProductUpdates,
    Topic::OrderEvents,
    Topic::Products,
    Topic::InventoryEvents,
    Topic::InventoryAlerts,
    Topic::WebsocketFanout,
    Topic::DeadLetters,
];

/// The settings of the inventory.
#[derive(Debug, Clone)]
pub struct InventoryConfig {
    /// Unique among living processes, the same across restarts of one: part of the fencing identity.
    pub instance: String,
    pub rules: Rules,
    /// Live product actors of this process.
    pub max_live_products: usize,
    /// Products of the first start.
    pub bootstrap_file: Option<PathBuf>,
    /// Records of one commit at most.
    pub batch_max_records: usize,
}

impl InventoryConfig {
    /// From the configuration's section.
    #[must_use]
    pub fn new(section: &crate::config::Inventory, instance: &str) -> Self {
        let stale_after_ms = in_ms(section.stale_after);
        Self {
            instance: instance.to_owned(),
            rules: Rules { critical_max: section.critical_max, warning_max: section.warning_max, stale_after_ms },
            max_live_products: section.max_live_products,
            bootstrap_file: Some(section.bootstrap_file.clone()).filter(|path| !path.as_os_str().is_empty()),
            batch_max_records: section.batch_max_records,
        }
    }
}

/// What a source works with, to feed the inventory.
pub struct Feed {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) clock: Clock,
    pub(crate) session: SessionConfig,
    /// Every shard of the process, by its partition.
    pub(crate) shards: Arc<Vec<ShardHandle>>,
    pub(crate) committer: CommitterHandle,
    pub(crate) bootstrap_file: Option<PathBuf>,
    pub(crate) batch_max_records: usize,
    pub(crate) metrics: Arc<EngineMetrics>,
    pub(crate) supervision: SupervisionContext,
    /// Set once another process uses this one's instance name, so that this process must end; says what to do.
    pub(crate) fenced: watch::Sender<Option<String>>,
}

/// A source as the inventory runs it: the last child to start and the first to stop.
pub struct CommandSource {
    pub(crate) notify: NotifySource,
    pub(crate) child: Box<dyn Fn() -> ChildSpec + Send + Sync>,
}

/// The inventory of this process, running or not. Cheap to clone.
#[derive(Clone)]
pub struct Inventory {
    pub metrics: Arc<EngineMetrics>,
    /// One per partition of the log, whether this process owns it or not.
    pub shards: Arc<Vec<ShardHandle>>,
    /// For [`crate::actors::root::RoleSpec`].
    pub children: MakeChildren,
    fenced: watch::Receiver<Option<String>>,
}

impl Inventory {
    /// Wires the inventory on this log with this source. Nothing runs before the role is started.
    #[must_use]
    pub fn new(
        log: Arc<dyn EventLog>,
        config: &InventoryConfig,
        clock: Clock,
        supervision: &SupervisionContext,
        source: impl FnOnce(Feed) -> CommandSource,
    ) -> Self {
        let metrics = Arc::new(EngineMetrics::default());
        let (fence, fenced) = watch::channel(None);
        let handle = |partition: PartitionId| {
            ShardHandle::new(partition, Mailbox::new(&shard_id(partition)), Arc::new(ShardGauge::default()))
        };
        let shards: Arc<Vec<_>> = Arc::new((0..log.partitions()).map(handle).collect());
        let committer = CommitterHandle::new(ActorKind::Committer.as_str());
        let source = source(Feed {
            log: log.clone(),
            clock: clock.clone(),
            session: SessionConfig {
                identity: format!("{INVENTORY_GROUP}-{}", config.instance),
                group: Some(INVENTORY_GROUP.to_owned()),
                topics: InputTopic::ALL.map(Topic::from).to_vec(),
                writes: WRITES.to_vec(),
            },
            shards: shards.clone(),
            committer: committer.clone(),
            bootstrap_file: config.bootstrap_file.clone(),
            batch_max_records: config.batch_max_records.max(1),
            metrics: metrics.clone(),
            supervision: supervision.clone(),
            fenced: fence,
        });
        let products = Arc::new(ProductContext { rules: config.rules, faults: supervision.faults.clone(), log: log.clone() });
        let shard = |shard: &ShardHandle| {
            Arc::new(ShardContext {
                partition: shard.partition,
                log: log.clone(),
                clock: clock.clone(),
                products: products.clone(),
                committer: committer.clone(),
                notify: source.notify.clone(),
                metrics: metrics.clone(),
                gauge: shard.shared_gauge(),
                vitals: supervision.vitals(ActorKind::Shard, &shard_id(shard.partition)),
                mailbox: shard.mailbox(),
                restart: supervision.restart,
                hang_after: supervision.hang_after,
                max_live_products: config.max_live_products,
                alarms: supervision.alarms.clone(),
            })
        };
        let parts = InventoryParts {
            shards: shards.iter().map(shard).collect(),
            committer: Arc::new(CommitterContext {
                handle: committer.clone(),
                notify: source.notify.clone(),
                vitals: supervision.vitals(ActorKind::Committer, ActorKind::Committer.as_str()),
            }),
            source: source.child,
            supervision: supervision.clone(),
        };
        Self { metrics, shards, children: Arc::new(move || parts.children()), fenced }
    }

    /// Waits until another process uses this one's instance name, so that this process must end. Returns why, and what to do.
    pub async fn fenced(&self) -> String {
        let mut fenced = self.fenced.clone();
        match fenced.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            // No source is left that could be fenced; wait for ever.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Why the inventory cannot work; `None` while it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let of_shards = self.shards.iter().filter_map(|shard| shard.gauge().trouble.load_full());
        self.metrics.trouble.load_full().into_iter().chain(of_shards).next().map(|trouble| trouble.to_string())
    }
}

/// What the children of the role are made of, at each start of the role.
struct InventoryParts {
    committer: Arc<CommitterContext>,
    shards: Vec<Arc<ShardContext>>,
    source: Box<dyn Fn() -> ChildSpec + Send + Sync>,
    supervision: SupervisionContext,
}

impl InventoryParts {
    /// Consumers start before producers, and stop after them.
    fn children(&self) -> Vec<ChildSpec> {
        let restart = self.supervision.restart;
        let context = self.committer.clone();
        let committer = move || (Committer(context.clone()), ());
        let mut children = vec![ChildSpec::new(ActorKind::Committer, ActorKind::Committer.as_str(), restart, committer)];
        for shard in &self.shards {
            let (id, context) = (shard_id(shard.partition), shard.clone());
            children.push(ChildSpec::new(ActorKind::Shard, id, restart, move || (Shard(context.clone()), ())));
        }
        children.push((self.source)());
        children
    }
}

fn shard_id(partition: PartitionId) -> String {
    format!("shard/{partition}")
}
