//! The checker never waits without limit: what cannot be read is named, what depends on it is not judged, and the rest is.

use std::collections::BTreeMap;
use std::time::Duration;

use kartshoppe::check::Check;
use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::log::layer::LogLayer;
use kartshoppe::log::{
    EventLog, LogError, LogFuture, Offset, Reader, Record, Session, SessionConfig, Start, Stop, Topic, TopicPartition,
};
use sqlx::PgPool;

use crate::support::ruin::clean_run;

/// A log on one partition of which reading gives nothing, for ever, or fails.
struct Unreadable {
    log: EmbeddedLog,
    at: TopicPartition,
    fails: bool,
}

impl LogLayer for Unreadable {
    fn beneath(&self) -> &dyn EventLog {
        &self.log
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        self.log.session(config)
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        if from.iter().all(|(at, _)| *at != self.at) {
            return self.log.reader(from, stop);
        }
        let (positions, ends) = (BTreeMap::from([(self.at, 1)]), BTreeMap::from([(self.at, 4)]));
        let reader = Standing { positions, ends, fails: self.fails };
        Box::pin(async move { Ok(Box::new(reader) as Box<dyn Reader>) })
    }
}

struct Standing {
    positions: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    fails: bool,
}

impl Reader for Standing {
    fn read(&mut self, _max_records: usize, max_wait: Duration) -> LogFuture<'_, Vec<Record>> {
        Box::pin(async move {
            if self.fails {
                return Err(LogError::Unavailable("codec 4 is not supported".to_owned()));
            }
            tokio::time::sleep(max_wait).await;
            Ok(Vec::new())
        })
    }

    fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.positions
    }

    fn ends(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.ends
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_cannot_be_read_is_named_and_the_rest_is_judged() {
    let ruin = clean_run().await;
    let pool = PgPool::connect(&ruin.database.url).await.unwrap();
    let folder = ruin.log_file().parent().unwrap().to_owned();
    for topic in [Topic::OrderEvents, Topic::InventoryEvents, Topic::Products, Topic::InventoryAlerts, Topic::DeadLetters] {
        for fails in [false, true] {
            let at = TopicPartition::new(topic, 0);
            let log = Unreadable { log: EmbeddedLog::open_read_only(&folder).await.unwrap(), at, fails };
            let report = ruin.judge_log(&log, Some(&pool), None, Duration::from_millis(700)).await;
            let why = if fails { "codec 4 is not supported" } else { "reading gave nothing for 700ms" };
            let [unread] = &report.unread[..] else { panic!("{topic}: {report}") };
            assert!(unread.contains(&format!("{topic}/0/1 (of 4)")) && unread.contains(why), "{report}");
            assert!(report.holds() && !report.is_whole(), "{topic}: {report}");
            let is_part_of_the_ledger = topic == Topic::OrderEvents || topic == Topic::InventoryEvents;
            assert_eq!(report.not_judged.contains(&Check::DatabaseOutcome), is_part_of_the_ledger, "{topic}: {report}");
        }
    }
}
