//! How far each reader of the event log is behind, in records and in time, whether it reads or not.
//!
//! The ends of partitions are recorded every few seconds with the time: the oldest recorded end that a reader has not passed says
//! how long it has been behind. So no record is read for it, and a reader that has stopped is measured as well.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::positions::Ends;
use crate::log::{Offset, Topic, TopicPartition};
use crate::telemetry::families as family;
use crate::telemetry::metrics::{Metrics, Sample};

/// Recorded ends per partition: hours of a stopped reader. Beyond that every second one is dropped.
const LOOKS: usize = 4_096;

/// The lag of every reader. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct Lags(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    readers: BTreeMap<(&'static str, TopicPartition), Behind>,
    /// Since when the log or the source of the positions has not answered.
    unanswered_since: BTreeMap<&'static str, Instant>,
}

#[derive(Debug, Default)]
struct Behind {
    records: u64,
    /// Ends that the reader has not passed, and when they were first seen.
    ends: VecDeque<(Offset, Instant)>,
}

impl Lags {
    /// One check of a reader. `empty_to` is the offset up to which no record lies after its position.
    pub fn look(
        &self,
        reader: &'static str,
        positions: &BTreeMap<TopicPartition, Offset>,
        ends: &Ends,
        empty_to: impl Fn(TopicPartition) -> Option<Offset>,
    ) {
        let mut state = self.state();
        state.unanswered_since.remove(reader);
        state.readers.retain(|(known, at), _| *known != reader || positions.contains_key(at));
        for (at, position) in positions {
            let Some(bounds) = ends.get(at) else { continue };
            // Records that were deleted before they were read are not waited for.
            let position = empty_to(*at).into_iter().fold(bounds.start.max(*position), Offset::max);
            state.readers.entry((reader, *at)).or_default().note(position, bounds.end);
        }
    }

    /// The reader's positions or the ends could not be read.
    pub fn unanswered(&self, reader: &'static str) {
        self.state().unanswered_since.entry(reader).or_insert_with(Instant::now);
    }

    /// Shows them on `/metrics`.
    pub fn register(&self, metrics: &Metrics) {
        let lags = self.clone();
        metrics
            .observe(&family::READER_LAG_RECORDS, move || lags.samples(|_, behind| behind.records as f64, |sum, one| sum + one));
        let lags = self.clone();
        metrics.observe(&family::READER_LAG_SECONDS, move || {
            let unknown = lags.state().unanswered_since.clone();
            let age = |since: Option<&Instant>| since.map_or(Duration::ZERO, Instant::elapsed).as_secs_f64();
            let oldest = |behind: &Behind| age(behind.ends.front().map(|(_, since)| since));
            lags.samples(|reader, behind| oldest(behind).max(age(unknown.get(reader))), f64::max)
        });
    }

    fn samples(&self, of: impl Fn(&'static str, &Behind) -> f64, together: fn(f64, f64) -> f64) -> Vec<Sample> {
        let mut by_topic: BTreeMap<(&'static str, Topic), f64> = BTreeMap::new();
        for ((reader, at), behind) in &self.state().readers {
            let value = by_topic.entry((*reader, at.topic)).or_default();
            *value = together(*value, of(reader, behind));
        }
        let labels = |reader: &str, topic: Topic| vec![("reader", reader.to_owned()), ("topic", topic.name().to_owned())];
        by_topic.into_iter().map(|((reader, topic), value)| (labels(reader, topic), value)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Behind {
    fn note(&mut self, position: Offset, end: Offset) {
        self.records = end.saturating_sub(position).max(0).unsigned_abs();
        if self.ends.back().is_none_or(|(known, _)| *known < end) {
            self.ends.push_back((end, Instant::now()));
        }
        while self.ends.front().is_some_and(|(end, _)| *end <= position) {
            self.ends.pop_front();
        }
        if self.ends.len() > LOOKS {
            // The oldest stays: it says for how long the reader is behind.
            let mut keeps = false;
            self.ends.retain(|_| {
                keeps = !keeps;
                keeps
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::PartitionInfo;
    use crate::telemetry::metrics::Format;

    const AT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };

    struct ReaderLag {
        lags: Lags,
        metrics: Metrics,
    }

    impl ReaderLag {
        fn new() -> Self {
            let (lags, metrics) = (Lags::default(), Metrics::default());
            lags.register(&metrics);
            Self { lags, metrics }
        }

        fn look(&self, position: Offset, end: Offset, empty_to: Option<Offset>) {
            self.look_from(0, position, end, empty_to);
        }

        fn look_from(&self, start: Offset, position: Offset, end: Offset, empty_to: Option<Offset>) {
            self.lags.look("inventory", &[(AT, position)].into(), &[(AT, PartitionInfo { start, end })].into(), |_| empty_to);
        }

        fn shows(&self, records: &str, seconds: &str) {
            let text = self.metrics.render(Format::Text).unwrap();
            let labels = "{reader=\"inventory\",topic=\"order-events\"}";
            assert!(text.contains(&format!("kartshoppe_reader_lag_records{labels} {records}\n")), "{text}");
            assert!(text.contains(&format!("kartshoppe_reader_lag_seconds{labels} {seconds}\n")), "{text}");
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_behind_for_as_long_as_it_has_not_passed_an_end() {
        let reader = ReaderLag::new();
        reader.look(10, 10, None);
        reader.shows("0.0", "0.0");
        pass(5).await;
        reader.look(10, 14, None);
        pass(5).await;
        reader.look(10, 20, None);
        pass(1).await;
        reader.shows("10.0", "6.0");
        // It reads, and is still behind: the age is that of what it has not passed.
        reader.look(15, 20, None);
        reader.shows("5.0", "1.0");
        reader.look(20, 20, None);
        reader.shows("0.0", "0.0");
    }

    #[tokio::test(start_paused = true)]
    async fn markers_behind_the_last_record_are_no_lag_and_silence_is_one() {
        let reader = ReaderLag::new();
        reader.look(3, 4, Some(4));
        reader.shows("0.0", "0.0");
        reader.lags.unanswered("inventory");
        pass(7).await;
        reader.lags.unanswered("inventory");
        reader.shows("0.0", "7.0");
        reader.look(3, 4, Some(4));
        reader.shows("0.0", "0.0");
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_were_deleted_are_not_waited_for() {
        let reader = ReaderLag::new();
        reader.look(3, 9, None);
        pass(7).await;
        reader.look_from(8, 3, 9, None);
        reader.shows("1.0", "7.0");
        reader.look_from(9, 3, 9, None);
        reader.shows("0.0", "0.0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_stall_keeps_its_age_and_its_memory_small() {
        let reader = ReaderLag::new();
        for end in 1..20_000 {
            reader.look(0, end, None);
            pass(1).await;
        }
        reader.shows("19999.0", "19999.0");
        assert!(reader.lags.state().readers.values().all(|behind| behind.ends.len() <= LOOKS));
    }
}
