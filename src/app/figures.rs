//! Registers the figures of the engine and of the actors, which are only read when somebody asks for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::actors::inventory::Inventory;
use crate::actors::inventory::ShardGauge;
use crate::actors::order_publisher::PublisherHandle;
use crate::actors::order_tracker::TrackerHandle;
use crate::actors::stats::{Directory, Entry};
use crate::actors::supervision::EndCause;
use crate::log::{EventLog, Setbacks};
use crate::telemetry::metrics::{Kind, Metrics};
use crate::telemetry::names::metric;

/// Registers everything once.
pub(super) fn register(metrics: &Metrics, directory: &Directory, inventory: &Inventory, log: Arc<dyn EventLog>) {
    let engine = inventory.metrics.clone();
    metrics.register(metric::COMMIT_SECONDS, "How long commits took", &[], engine.commit_seconds.clone());
    metrics.register(metric::COMMIT_RECORDS, "Output records of a commit", &[], engine.commit_records.clone());
    metrics.register(
        metric::EVENT_AGE_SECONDS,
        "Append to committed outputs, oldest record",
        &[],
        engine.event_age_seconds.clone(),
    );
    metrics.register(metric::RESTORE_SECONDS, "How long a partition's restore took", &[], engine.restore_seconds.clone());
    let recovery = engine.product_recovery_seconds.clone();
    metrics.register(metric::PRODUCT_RECOVERY_SECONDS, "From a product's end with work in hand to its successor", &[], recovery);
    let tardiness = engine.stale_tardiness_seconds.clone();
    metrics.register(metric::STALE_TARDINESS_SECONDS, "Stale deadline to its event", &[], tardiness);

    let counted = engine.clone();
    metrics.observe(metric::INPUTS, "Inputs by what became of them", Kind::Counter, move || {
        let inputs = counted.inputs();
        inputs.iter().map(|(outcome, count)| (vec![("outcome", (*outcome).to_owned())], load(count))).collect()
    });
    let counted = engine.clone();
    metrics.observe(metric::COMMITS, "Commits by result", Kind::Counter, move || {
        let results = [("committed", &counted.commits), ("aborted", &counted.aborts)];
        results.iter().map(|(result, count)| (vec![("result", (*result).to_owned())], load(count))).collect()
    });
    metrics.observe(metric::PASSIVATIONS, "Products passivated", Kind::Counter, move || {
        vec![(Vec::new(), load(&engine.passivated))]
    });

    let setbacks = move || {
        let Setbacks { renewed, fenced } = log.setbacks();
        [("renewed", renewed), ("fenced", fenced)].map(|(kind, count)| (vec![("kind", kind.to_owned())], count as f64)).to_vec()
    };
    metrics.observe(
        metric::LOG_SETBACKS,
        "Sessions on the event log that were made anew or came too late",
        Kind::Counter,
        setbacks,
    );

    let shards = inventory.shards.clone();
    metrics.observe(metric::PRODUCTS, "Products of this process", Kind::Gauge, move || {
        let sum = |of: fn(&ShardGauge) -> &AtomicU64| shards.iter().map(|shard| load(of(shard.gauge()))).sum::<f64>();
        let (live, known) = (sum(|gauge| &gauge.live), sum(|gauge| &gauge.products));
        vec![(vec![("state", "live".to_owned())], live), (vec![("state", "passive".to_owned())], (known - live).max(0.0))]
    });
    let actors = directory.clone();
    metrics.observe(metric::ACTOR_MAILBOX_DEPTH, "Messages that wait, by actor", Kind::Gauge, move || {
        let depth =
            |actor: &Entry| (vec![("kind", actor.kind.as_str().to_owned()), ("actor", actor.id.clone())], actor.depth() as f64);
        actors.list().iter().map(|actor| depth(actor)).collect()
    });
    let actors = directory.clone();
    metrics.observe(
        metric::ACTOR_RESTARTS,
        "Ends of actors by cause; all but stops are followed by a restart",
        Kind::Counter,
        move || actors.list().iter().flat_map(|actor| ends_of(actor)).collect(),
    );
    let actors = directory.clone();
    metrics.observe(metric::ACTOR_RECOVERY_SECONDS, "From an actor's last end to its successor", Kind::Gauge, move || {
        let labels = |actor: &Entry| vec![("kind", actor.kind.as_str().to_owned()), ("actor", actor.id.clone())];
        let away = |actor: &Arc<Entry>| Some((labels(actor), actor.last_recovery()?.as_secs_f64()));
        actors.list().iter().filter_map(away).collect()
    });
    let engine = inventory.metrics.clone();
    metrics.observe(metric::PRODUCT_RESTARTS, "Ends of product actors by cause", Kind::Counter, move || {
        let ends = EndCause::ALL.into_iter().zip(&engine.product_ends);
        ends.map(|(cause, count)| (vec![("cause", cause.as_str().to_owned())], load(count))).collect()
    });
}

/// Registers what becomes of orders on their way to the log and back, once.
pub(super) fn register_orders(metrics: &Metrics, publisher: &PublisherHandle, tracker: &TrackerHandle) {
    let (publishing, tracking) = (publisher.clone(), tracker.clone());
    metrics.observe(metric::ORDER_ITEMS, "Order items by what happened to them in this process", Kind::Counter, move || {
        let (published, tracked) = (publishing.counts(), tracking.counts());
        let counts = [
            ("published", &published.published),
            ("publish-unclear", &published.unclear),
            ("left-to-rescue", &published.left_to_rescue),
            ("probed", &tracked.probes),
            ("taken-back", &tracked.taken_back),
            ("rescued", &tracked.flipped),
            ("outcome-written", &tracked.outcomes),
        ];
        counts.iter().map(|(fate, count)| (vec![("fate", (*fate).to_owned())], load(count))).collect()
    });
    let tracking = tracker.clone();
    metrics.observe(metric::ORDERS, "Orders that this process settled", Kind::Counter, move || {
        vec![(Vec::new(), load(&tracking.counts().settled))]
    });
    let (publishing, tracking) = (publisher.clone(), tracker.clone());
    metrics.observe(metric::ALARMS, "Alarms that a human must look at; the log says more", Kind::Counter, move || {
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

fn ends_of(actor: &Entry) -> Vec<(Vec<(&'static str, String)>, f64)> {
    let report = actor.report();
    let labels = |cause: &str| vec![("kind", report.kind.to_owned()), ("actor", report.id.clone()), ("cause", cause.to_owned())];
    report.ends.iter().map(|(cause, count)| (labels(cause), *count as f64)).collect()
}

fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
