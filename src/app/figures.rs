//! Registers the metrics of the engine and of the actors, which are read only when `/metrics` is scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Parts;
use crate::actors::inventory::{Inventory, ShardGauge};
use crate::actors::order_publisher::PublisherHandle;
use crate::actors::order_tracker::{TrackerCounts, TrackerHandle};
use crate::actors::stats::{ActorEntry, Directory};
use crate::actors::supervision::{ActorKind, EndCause};
use crate::config::LogKind;
use crate::log::{EventLog, Setbacks};
use crate::store::Store;
use crate::telemetry::families as family;
use crate::telemetry::metrics::{Metrics, Sample};
use crate::telemetry::{process, promises};

/// Registers all metrics; called once.
pub(super) fn register(metrics: &Metrics, directory: &Directory, inventory: &Inventory, log: Arc<dyn EventLog>) {
    let engine = inventory.metrics.clone();
    metrics.register(&family::COMMIT_SECONDS, engine.commit_seconds.clone());
    metrics.register(&family::COMMIT_RECORDS, engine.commit_records.clone());
    metrics.register(&family::EVENT_AGE_SECONDS, engine.event_age_seconds.clone());
    metrics.register(&family::RESTORE_SECONDS, engine.restore_seconds.clone());
    let recovery = engine.product_recovery_seconds.clone();
    metrics.register(&family::PRODUCT_RECOVERY_SECONDS, recovery);
    let tardiness = engine.stale_tardiness_seconds.clone();
    metrics.register(&family::STALE_TARDINESS_SECONDS, tardiness);

    let counted = engine.clone();
    metrics.observe(&family::INPUTS, move || {
        let inputs = counted.inputs();
        inputs.iter().map(|(outcome, count)| (vec![("outcome", (*outcome).to_owned())], load(count))).collect()
    });
    let counted = engine.clone();
    metrics.observe(&family::COMMITS, move || {
        let results = [("committed", &counted.commits), ("aborted", &counted.aborts)];
        results.iter().map(|(result, count)| (vec![("result", (*result).to_owned())], load(count))).collect()
    });
    metrics.register(&family::DEAD_LETTERS, engine.dead_letters.clone());
    metrics.observe(&family::PASSIVATIONS, move || vec![(Vec::new(), load(&engine.passivated))]);

    log.register(metrics);
    let setbacks = move || {
        let Setbacks { renewed, fenced } = log.setbacks();
        [("renewed", renewed), ("fenced", fenced)].map(|(kind, count)| (vec![("kind", kind.to_owned())], count as f64)).to_vec()
    };
    metrics.observe(&family::LOG_SETBACKS, setbacks);

    let shards = inventory.shards.clone();
    metrics.observe(&family::PRODUCTS, move || {
        let sum = |of: fn(&ShardGauge) -> &AtomicU64| shards.iter().map(|shard| load(of(shard.gauge()))).sum::<f64>();
        let (live, known) = (sum(|gauge| &gauge.live), sum(|gauge| &gauge.products));
        vec![(vec![("state", "live".to_owned())], live), (vec![("state", "passive".to_owned())], (known - live).max(0.0))]
    });
    register_actors(metrics, directory, inventory);
    let engine = inventory.metrics.clone();
    metrics.observe(&family::PRODUCT_RESTARTS, move || {
        let ends = EndCause::ALL.into_iter().zip(&engine.product_ends);
        ends.map(|(cause, count)| (vec![("cause", cause.as_str().to_owned())], load(count))).collect()
    });
}

fn register_actors(metrics: &Metrics, directory: &Directory, inventory: &Inventory) {
    // Products have no entries, which would cost more than their states.
    let kinds = || ActorKind::ALL.into_iter().filter(|kind| *kind != ActorKind::Product);
    let waited = kinds().map(|kind| (kind.as_str(), directory.times().of(kind).waited));
    metrics.register_each(&family::ACTOR_MAILBOX_WAIT_SECONDS, waited.collect());
    let handled = kinds().map(|kind| (kind.as_str(), directory.times().of(kind).handled));
    metrics.register_each(&family::ACTOR_HANDLING_SECONDS, handled.collect());
    let (actors, shards) = (directory.clone(), inventory.shards.clone());
    metrics.observe(&family::ACTORS, move || {
        let products = shards.iter().map(|shard| load(&shard.gauge().live)).sum();
        by_kind(&actors, ActorEntry::is_running, [(ActorKind::Product, products)])
    });
    let actors = directory.clone();
    metrics.observe(&family::ACTORS_FAILING, move || by_kind(&actors, ActorEntry::is_failing, []));
    let actors = directory.clone();
    metrics.observe(&family::ACTOR_MAILBOX_DEPTH, move || {
        actors.list().iter().map(|actor| (labels_of(actor), actor.depth() as f64)).collect()
    });
    let actors = directory.clone();
    metrics.observe(&family::ACTOR_RESTARTS, move || actors.list().iter().flat_map(|actor| restarts_of(actor)).collect());
    let actors = directory.clone();
    metrics.observe(&family::ACTOR_RECOVERY_SECONDS, move || {
        let away = |actor: &Arc<ActorEntry>| Some((labels_of(actor), actor.last_recovery()?.as_secs_f64()));
        actors.list().iter().filter_map(away).collect()
    });
}

/// How many actors of each kind are in a state, including those without an entry.
fn by_kind<const N: usize>(actors: &Directory, is_so: fn(&ActorEntry) -> bool, others: [(ActorKind, f64); N]) -> Vec<Sample> {
    let mut counts: BTreeMap<ActorKind, f64> = BTreeMap::from(others);
    for actor in actors.list() {
        *counts.entry(actor.kind).or_default() += f64::from(u8::from(is_so(&actor)));
    }
    counts.into_iter().map(|(kind, count)| (vec![("kind", kind.as_str().to_owned())], count)).collect()
}

fn labels_of(actor: &ActorEntry) -> Vec<(&'static str, String)> {
    vec![("kind", actor.kind.as_str().to_owned()), ("actor", actor.id.clone())]
}

/// Causes that never occurred are left out.
fn restarts_of(actor: &ActorEntry) -> Vec<Sample> {
    let restarts = EndCause::ALL.into_iter().map(|cause| (cause, actor.restarts(cause))).filter(|(_, count)| *count > 0);
    restarts
        .map(|(cause, count)| ([labels_of(actor), vec![("cause", cause.as_str().to_owned())]].concat(), count as f64))
        .collect()
}

/// Registers the metrics of the process, its database and its disk; called once.
pub(super) fn register_process(parts: &Parts, store: &Store) {
    let (metrics, config) = (&parts.metrics, &parts.config);
    let log = match config.log.kind {
        LogKind::Embedded => "embedded",
        LogKind::Kafka => "kafka",
    };
    process::register(metrics, log);
    promises::register(metrics);
    store.register(metrics);
    let folder = config.data_dir.clone();
    metrics.observe_one(&family::DISK_FREE_BYTES, move || {
        let disk = rustix::fs::statvfs(&folder).ok()?;
        Some((disk.f_bavail * disk.f_frsize) as f64)
    });
}

/// Registers the metrics of orders on their way to the log and back; called once.
pub(super) fn register_orders(metrics: &Metrics, publisher: &PublisherHandle, tracker: &TrackerHandle) {
    let publishing = publisher.clone();
    metrics.observe(&family::ORDER_ITEMS, move || {
        let counts = publishing.counts();
        let fates =
            [("published", &counts.published), ("publish-unclear", &counts.unclear), ("left-to-rescue", &counts.left_to_rescue)];
        fates.iter().map(|(fate, count)| (vec![("fate", (*fate).to_owned())], load(count))).collect()
    });
    type Counter = fn(&TrackerCounts) -> &AtomicU64;
    let counters: [(_, Counter); 4] = [
        (&family::ORDER_ITEMS_PROBED, |counts| &counts.probes),
        (&family::ORDER_ITEMS_TAKEN_BACK, |counts| &counts.taken_back),
        (&family::ORDER_ITEMS_RESCUED, |counts| &counts.flipped),
        (&family::ORDER_OUTCOMES, |counts| &counts.outcomes),
    ];
    for (family, of) in counters {
        let tracking = tracker.clone();
        metrics.observe_one(family, move || Some(load(of(tracking.counts()))));
    }
    metrics.register(&family::ORDER_SETTLE_SECONDS, tracker.counts().settle_seconds.clone());
    let tracking = tracker.clone();
    metrics.observe(&family::ORDERS, move || vec![(Vec::new(), load(&tracking.counts().settled))]);
    let (publishing, tracking) = (publisher.clone(), tracker.clone());
    metrics.observe(&family::ALARMS, move || {
        let counts = tracking.counts();
        let alarms = [
            ("outcomes-missing", &counts.gaps),
            ("outcome-refused", &counts.refused),
            ("event-unreadable", &counts.unreadable),
            ("clocks", &publishing.gate().alarms),
        ];
        alarms.iter().map(|(alarm, count)| (vec![("alarm", (*alarm).to_owned())], load(count))).collect()
    });
}

fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
