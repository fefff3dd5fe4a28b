//! Measures the rates of the edges: counters of this process, committed positions and the ends of topics. Queries no actor.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::FlowSources;
use super::picture::{self, Behind, Edge, Figure, Reading};
use crate::actors::inventory::INVENTORY_GROUP;
use crate::log::{Offset, PartitionInfo, Positions, TopicInfo, TopicPartition};
use crate::store::StoreError;
use crate::wire::console::flow::EdgeFigures;
use crate::wire::topics::Topic;

/// A source that does not answer by then is queried again for the next sample: a frame must not wait for it.
const PATIENCE: Duration = Duration::from_millis(800);
/// Kafka is queried for the ends of its topics only this often: each time is a round trip per broker.
const LOG_EVERY: Duration = Duration::from_secs(5);
const EMBEDDED_LOG_EVERY: Duration = Duration::from_millis(900);

type Offsets = BTreeMap<TopicPartition, Offset>;
type Bounds = BTreeMap<TopicPartition, PartitionInfo>;

/// The last measurement, and the rates since the one before it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub measured_at: Option<Instant>,
    counts: BTreeMap<Figure, (Instant, u64)>,
    rates: BTreeMap<Figure, f64>,
    log: LogMeasure,
    tracker: Offsets,
    pub database_answers: Option<bool>,
}

/// The log's last answer.
#[derive(Debug, Default)]
struct LogMeasure {
    asked_at: Option<Instant>,
    answers: Option<bool>,
    bounds: Bounds,
    committed: Offsets,
}

impl Meter {
    /// Takes one measurement.
    pub async fn measure(&mut self, sources: &FlowSources) {
        let is_due = self.log.is_due(sources.is_embedded);
        tokio::join!(self.log.ask(sources, is_due), ask_database(sources, &mut self.tracker, &mut self.database_answers));
        let now = Instant::now();
        self.measured_at = Some(now);
        let found: Vec<(Figure, u64)> = figures().filter_map(|figure| Some((figure, self.count(figure, sources)?))).collect();
        for (figure, count) in found {
            // Values that were not queried this time stay as they were.
            let of_log = matches!(figure, Figure::Written(_) | Figure::Read(Reading::Inventory, _));
            if !of_log || is_due {
                self.note(figure, now, count);
            }
        }
    }

    fn note(&mut self, figure: Figure, now: Instant, count: u64) {
        if let Some((at, before)) = self.counts.insert(figure, (now, count))
            && now > at
        {
            #[expect(clippy::cast_precision_loss, reason = "a difference of counts")]
            let rate = count.saturating_sub(before) as f64 / now.duration_since(at).as_secs_f64();
            self.rates.insert(figure, (rate * 10.0).round() / 10.0);
        }
    }

    fn count(&self, figure: Figure, sources: &FlowSources) -> Option<u64> {
        let load = |counter: &AtomicU64| Some(counter.load(Ordering::Relaxed));
        let (engine, tracker, pushed) = (&sources.inventory.metrics, sources.tracker.counts(), sources.fanout.counts());
        match figure {
            Figure::Requests => {
                let messages = &sources.shop.sockets.messages;
                Some(load(&sources.shop.http.requests)? + load(messages)?)
            }
            Figure::Orders => Some(sources.shop.placed.sum()),
            Figure::Published => load(&sources.publisher.counts().published),
            Figure::WalRows => Some(sources.wal.report().rows),
            Figure::Inputs => engine.inputs().iter().map(|(_, count)| load(count)).sum(),
            Figure::Commits => load(&engine.commits),
            Figure::Outcomes => load(&tracker.outcomes),
            Figure::Probes => load(&tracker.probes),
            Figure::Settled => load(&tracker.settled),
            Figure::Changes => load(&pushed.changes),
            Figure::Frames => load(&pushed.frames),
            Figure::Written(topic) => {
                let ends = self.log.bounds.iter().filter(|(at, _)| at.topic == topic).map(|(_, info)| whole(info.end));
                self.log.answers?.then(|| ends.sum())
            }
            Figure::Read(reading, topic) => {
                let positions = self.positions(reading, sources);
                let read = positions.iter().filter(|(at, _)| at.topic == topic).map(|(_, offset)| whole(*offset));
                let (count, sum) = read.fold((0, 0), |(count, sum), offset| (count + 1, sum + offset));
                (count > 0).then_some(sum)
            }
        }
    }

    fn positions(&self, reading: Reading, sources: &FlowSources) -> Offsets {
        match reading {
            Reading::Inventory => self.log.committed.clone(),
            Reading::ReadModel => sources.catalog.positions(),
            Reading::Tracker => self.tracker.clone(),
            Reading::FanOut => sources.fanout.positions(),
            Reading::AlertDesk => sources.alerts.positions(),
        }
    }

    /// Records of a topic that were not read yet; `None` if that is not known.
    pub fn lag(&self, reading: Reading, topic: Topic, sources: &FlowSources) -> Option<u64> {
        if self.log.answers != Some(true) {
            return None;
        }
        let positions = self.positions(reading, sources);
        let is_known = positions.keys().any(|at| at.topic == topic);
        let behind = |(at, info): (&TopicPartition, &PartitionInfo)| {
            // Without a committed position the group begins at the start of the partition.
            let from = positions.get(at).copied().unwrap_or(info.start);
            whole(info.end - from)
        };
        let all = self.log.bounds.iter().filter(|(at, _)| at.topic == topic).map(behind).sum();
        (is_known || reading == Reading::Inventory).then_some(all)
    }

    /// The figures of one edge.
    pub fn edge(&self, edge: &Edge, sources: &FlowSources) -> EdgeFigures {
        let lag = match edge.behind {
            Behind::Nothing => None,
            Behind::Records(reading, topic) => self.lag(reading, topic, sources),
            Behind::WalBytes => sources.wal.report().lag_bytes,
        };
        EdgeFigures { rate: self.rate(edge.figure), lag }
    }

    /// Per second; `None` before the second measurement.
    pub fn rate(&self, figure: Figure) -> Option<f64> {
        self.rates.get(&figure).copied()
    }

    /// Whether the log answered; `None` before it was asked.
    pub fn log_answers(&self) -> Option<bool> {
        self.log.answers
    }

    /// Records that a topic has; `None` if there is no such topic.
    pub fn records(&self, topic: Topic) -> Option<u64> {
        let partitions = self.log.bounds.iter().filter(|(at, _)| at.topic == topic);
        partitions.map(|(_, info)| whole(info.end - info.start)).reduce(|sum, one| sum + one)
    }
}

impl LogMeasure {
    fn is_due(&self, is_embedded: bool) -> bool {
        let every = if is_embedded { EMBEDDED_LOG_EVERY } else { LOG_EVERY };
        self.asked_at.is_none_or(|at| at.elapsed() >= every)
    }

    async fn ask(&mut self, sources: &FlowSources, is_due: bool) {
        if !is_due {
            return;
        }
        self.asked_at = Some(Instant::now());
        let both = async { tokio::try_join!(sources.log.topics(), sources.log.committed(INVENTORY_GROUP)) };
        match timeout(PATIENCE, both).await {
            Ok(Ok((topics, committed))) => {
                (self.bounds, self.committed) = (bounds_of(topics), offsets_of(committed));
                self.answers = Some(true);
            }
            Ok(Err(_)) | Err(_) => self.answers = Some(false),
        }
    }
}

/// The order tracker's position, which is in PostgreSQL.
async fn ask_database(sources: &FlowSources, tracker: &mut Offsets, answers: &mut Option<bool>) {
    let asked: Result<Result<_, StoreError>, _> = timeout(PATIENCE, sources.store.tracker_positions()).await;
    *answers = Some(matches!(asked, Ok(Ok(_))));
    if let Ok(Ok(stored)) = asked {
        let place = |partition| TopicPartition::new(Topic::InventoryEvents, partition);
        *tracker = stored.iter().map(|position| (place(position.partition), position.offset + 1)).collect();
    }
}

fn figures() -> impl Iterator<Item = Figure> {
    let mut figures: Vec<Figure> = picture::edges().iter().map(|edge| edge.figure).collect();
    figures.sort_unstable();
    figures.dedup();
    figures.into_iter()
}

fn bounds_of(topics: Vec<TopicInfo>) -> Bounds {
    let partitions = topics.into_iter().flat_map(|info| {
        (0..).zip(info.partitions).map(move |(partition, bounds)| (TopicPartition::new(info.topic, partition), bounds))
    });
    partitions.collect()
}

fn offsets_of(committed: Positions) -> Offsets {
    committed.into_iter().map(|(at, position)| (at, position.offset)).collect()
}

/// Offsets and their differences; a topic that was made again may end below what was read of it.
fn whole(offset: Offset) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
