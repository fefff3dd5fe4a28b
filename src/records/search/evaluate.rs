//! Which of the records fit, found out on a blocking thread: values are parsed there.

use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{PAGE_MAX_BYTES, Times};
use crate::domain::EpochMs;
use crate::log::{LogError, Offset, Record, TopicPartition};
use crate::records::{Form, Predicate, view};

/// What a record must be to be found.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub predicate: Option<Predicate>,
    pub times: Times,
    pub form: Form,
    /// Nothing is looked at after this, but for one record: every page gets on.
    pub until: Instant,
}

/// A record that was looked at.
#[derive(Debug)]
pub(super) struct ExaminedRecord {
    pub at: TopicPartition,
    pub offset: Offset,
    pub time_ms: EpochMs,
    /// If it fits: as it is shown.
    pub shown: Option<Box<RawValue>>,
}

impl ExaminedRecord {
    pub(super) fn shown_bytes(&self) -> usize {
        self.shown.as_ref().map_or(0, |shown| shown.get().len())
    }
}

impl Filter {
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Looks at records in their order until the time is up; what is missing at the end was not looked at. Dropped half-way, it
    /// ends after the record in hand.
    pub(super) async fn look_at(&self, records: Vec<Record>) -> Result<Vec<ExaminedRecord>, LogError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (filter, dropped) = (self.clone(), CancellationToken::new());
        let _guard: DropGuard = dropped.clone().drop_guard();
        let task = tokio::task::spawn_blocking(move || {
            let goes_on = |number: usize| number == 0 || (!dropped.is_cancelled() && !filter.is_late());
            let numbered = records.iter().enumerate().take_while(|(number, _)| goes_on(*number));
            numbered.map(|(_, record)| filter.entry(record)).collect()
        });
        task.await.map_err(|failed| LogError::Unavailable(format!("a search ended early: {failed}")))
    }

    fn entry(&self, record: &Record) -> ExaminedRecord {
        let shown = self.fits(record).then(|| shown(record, self.form)).flatten();
        ExaminedRecord { at: record.topic_partition(), offset: record.offset, time_ms: record.append_time_ms, shown }
    }

    fn fits(&self, record: &Record) -> bool {
        let (time, Times { from, to }) = (record.append_time_ms, self.times);
        let in_time = from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to);
        in_time && self.predicate.as_ref().is_none_or(|predicate| predicate.holds_for(record))
    }
}

/// A record that alone is more than a page holds is shown without its content.
fn shown(record: &Record, form: Form) -> Option<Box<RawValue>> {
    let whole = view::shown(record, form)?;
    if whole.get().len() <= PAGE_MAX_BYTES { Some(whole) } else { view::without_content(record, whole.get().len()) }
}
