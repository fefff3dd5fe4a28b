//! The inventory role put together: committer, shards, source, in this order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;

use super::log_source::{LogSource, SourceContext, SourceMsg};
use crate::actors::committer::{Committer, CommitterContext};
use crate::actors::engine::{EngineMetrics, FeedNews, Report};
use crate::actors::envelope::Mailbox;
use crate::actors::product::ProductContext;
use crate::actors::role::{MakeChildren, SupervisionContext};
use crate::actors::shard::{Shard, ShardContext, ShardGauge, ShardHandle};
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::clock::Clock;
use crate::domain::inventory::Rules;
use crate::log::{EventLog, PartitionId, SessionConfig};
use crate::wire::topics::Topic;

/// The consumer group of the inventory: it runs where this group has a live member.
/// What the inventory's commits write: outputs, what cannot be read, and what is put on its right partition.
const WRITES: [Topic; 7] = [
    Topic::ProductUpdates,
    Topic::OrderEvents,
    Topic::Products,
    Topic::InventoryEvents,
    Topic::InventoryAlerts,
    Topic::WebsocketFanout,
    Topic::DeadLetters,
];
pub const INVENTORY_GROUP: &str = "kartshoppe-inventory";

/// What the inventory needs to know.
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
    /// As the configuration's section says.
    #[must_use]
    pub fn new(section: &crate::config::Inventory, instance: &str) -> Self {
        let stale_after_ms = i64::try_from(section.stale_after.as_millis()).unwrap_or(i64::MAX);
        Self {
            instance: instance.to_owned(),
            rules: Rules { critical_max: section.critical_max, warning_max: section.warning_max, stale_after_ms },
            max_live_products: section.max_live_products,
            bootstrap_file: Some(section.bootstrap_file.clone()).filter(|path| !path.as_os_str().is_empty()),
            batch_max_records: section.batch_max_records,
        }
    }
}

/// The inventory of this process, running or not. Cheap to clone.
#[derive(Clone)]
pub struct Inventory {
    pub metrics: Arc<EngineMetrics>,
    /// One per partition of the log, whether it is ours or not.
    pub shards: Arc<Vec<ShardHandle>>,
    /// For [`crate::actors::root::RoleSpec`].
    pub children: MakeChildren,
    fenced: watch::Receiver<Option<String>>,
}

impl Inventory {
    /// Puts the inventory together on this log. Nothing runs before the role is started.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, config: &InventoryConfig, clock: Clock, supervision: &SupervisionContext) -> Self {
        let metrics = Arc::new(EngineMetrics::default());
        let (fence, fenced) = watch::channel(None);
        let mailbox: Mailbox<SourceMsg> = Mailbox::new(ActorKind::LogSource.as_str());
        let report = report_to(&mailbox);
        let vitals = supervision.vitals(ActorKind::Committer, ActorKind::Committer.as_str());
        let (committer, committer_handle) = CommitterContext::new(clock.clone(), metrics.clone(), report.clone(), vitals);
        let products = Arc::new(ProductContext { rules: config.rules, faults: supervision.faults.clone(), log: log.clone() });
        let shard = |partition: PartitionId| {
            let id = format!("shard/{partition}");
            Arc::new(ShardContext {
                partition,
                log: log.clone(),
                clock: clock.clone(),
                products: products.clone(),
                committer: committer_handle.clone(),
                report: report.clone(),
                metrics: metrics.clone(),
                gauge: Arc::new(ShardGauge::default()),
                vitals: supervision.vitals(ActorKind::Shard, &id),
                mailbox: Mailbox::new(&id),
                restart: supervision.restart,
                hang_after: supervision.hang_after,
                max_live_products: config.max_live_products,
                alarms: supervision.alarms.clone(),
            })
        };
        let contexts: Vec<_> = (0..log.partitions()).map(shard).collect();
        let handle = |shard: &Arc<ShardContext>| ShardHandle::new(shard.partition, shard.mailbox.clone(), shard.gauge.clone());
        let shards = Arc::new(contexts.iter().map(handle).collect::<Vec<_>>());
        let source = Arc::new(SourceContext {
            log: log.clone(),
            clock,
            session: SessionConfig {
                identity: format!("kartshoppe-inventory-{}", config.instance),
                group: Some(INVENTORY_GROUP.to_owned()),
                topics: vec![Topic::ProductUpdates, Topic::OrderEvents],
                writes: WRITES.to_vec(),
            },
            shards: shards.clone(),
            committer: committer_handle,
            bootstrap_file: config.bootstrap_file.clone(),
            batch_max_records: config.batch_max_records.max(1),
            metrics: metrics.clone(),
            vitals: supervision.vitals(ActorKind::LogSource, ActorKind::LogSource.as_str()),
            mailbox,
            restart: supervision.restart,
            alarms: supervision.alarms.clone(),
            fenced: Arc::new(fence),
            batches: AtomicU64::new(1),
        });
        let parts = Parts { committer: Arc::new(committer), shards: contexts, source, supervision: supervision.clone() };
        let owned = shards.clone();
        Self { metrics, shards, children: Arc::new(move || parts.children(&owned)), fenced }
    }
}

impl Inventory {
    /// Waits until somebody else has the name of this process, which then must end; why, and what to do.
    pub async fn fenced(&self) -> String {
        let mut fenced = self.fenced.clone();
        match fenced.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            // Nobody is left to be fenced.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// What keeps it from its work, while something does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let of_shards = self.shards.iter().filter_map(|shard| shard.gauge().trouble.load_full());
        self.metrics.trouble.load_full().into_iter().chain(of_shards).next().map(|trouble| trouble.to_string())
    }
}

struct Parts {
    committer: Arc<CommitterContext>,
    shards: Vec<Arc<ShardContext>>,
    source: Arc<SourceContext>,
    supervision: SupervisionContext,
}

impl Parts {
    /// Who is fed starts before who feeds, and stops after.
    fn children(&self, handles: &Arc<Vec<ShardHandle>>) -> Vec<ChildSpec> {
        let restart = self.supervision.restart;
        let (context, shards) = (self.committer.clone(), handles.clone());
        let committer = move || (Committer { context: context.clone(), shards: shards.clone() }, ());
        let mut children = vec![ChildSpec::new(ActorKind::Committer, ActorKind::Committer.as_str(), restart, committer)];
        for shard in &self.shards {
            let (id, context) = (format!("shard/{}", shard.partition), shard.clone());
            children.push(ChildSpec::new(ActorKind::Shard, id, restart, move || (Shard(context.clone()), ())));
        }
        let context = self.source.clone();
        let source = move || (LogSource(context.clone()), ());
        children.push(ChildSpec::new(ActorKind::LogSource, ActorKind::LogSource.as_str(), restart, source));
        children
    }
}

fn report_to(mailbox: &Mailbox<SourceMsg>) -> Report {
    let mailbox = mailbox.clone();
    Arc::new(move |news: FeedNews| {
        // A source that is not running starts everything anew when it does.
        let _ = mailbox.tell(SourceMsg::News(news));
    })
}
