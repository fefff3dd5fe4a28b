//! Plain appends: one idempotent producer of this process, to which every record is handed exactly once.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::try_join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::cluster::{Cluster, PATIENCE, cannot_make};
use super::codes::refused;
use super::permissions::{Access, MissingPermission};
use super::records::headers_of;
use super::reporting::Reporting;
use crate::log::{Appended, LogError, NewRecord};

/// The producer of the process; replaced after a fatal error.
pub(super) struct Appender(ArcSwap<FutureProducer<Reporting>>);

impl Appender {
    pub fn new(cluster: &Cluster) -> Result<Self, LogError> {
        Ok(Self(ArcSwap::from_pointee(producer(cluster)?)))
    }

    /// Replaces a producer that met a fatal error, as an idempotent one does when a record of a series is refused: it delivers
    /// nothing any more.
    fn renew_if_fatal(&self, cluster: &Cluster) {
        let broken = self.0.load_full();
        let Some((code, reason)) = broken.client().fatal_error() else { return };
        match producer(cluster) {
            Ok(fresh) => {
                tracing::warn!(error.code = ?code, error = reason,
                    "the producer of single records met a fatal error and is replaced");
                self.0.compare_and_swap(&broken, Arc::new(fresh));
            }
            Err(error) => tracing::warn!(%error, "the producer of single records cannot be replaced"),
        }
        // Dropping it waits for its thread.
        tokio::task::spawn_blocking(move || drop(broken));
    }

    /// Refreshes what the producer knows of a topic that was just made: it remembers that there was none.
    pub async fn refresh(&self, name: String) {
        let producer = self.0.load_full();
        // If this fails, the next append refreshes it.
        let _ = tokio::task::spawn_blocking(move || producer.client().fetch_metadata(Some(&name), PATIENCE).map(drop)).await;
    }

    /// Hands the records over and waits for the broker's answer to each.
    pub async fn append(
        &self,
        cluster: &Arc<Cluster>,
        records: Vec<NewRecord>,
        deadline: Duration,
    ) -> Result<Vec<Appended>, LogError> {
        let appended = tokio::time::timeout(deadline, self.hand_over(cluster, &records)).await;
        let failed = match appended.unwrap_or(Err(LogError::Deadline { waited: deadline })) {
            Ok(appended) => return Ok(appended),
            Err(error) => error,
        };
        self.renew_if_fatal(cluster);
        // For the producer a deleted topic looks like brokers that are slow to name its leaders.
        let known = if failed.is_retryable() { cluster.ask(Cluster::topics).await.ok() } else { None };
        let missing = known.and_then(|known| records.iter().find(|record| !known.contains_key(&record.topic)));
        Err(missing.map_or(failed, |record| LogError::UnknownTopic(record.topic.name().to_owned())))
    }

    async fn hand_over(&self, cluster: &Cluster, records: &[NewRecord]) -> Result<Vec<Appended>, LogError> {
        let producer = self.0.load_full();
        let mut reports = Vec::with_capacity(records.len());
        for record in records {
            let name = cluster.config.name_of(record.topic);
            let sent = FutureRecord {
                topic: &name,
                partition: record.partition,
                payload: record.value.as_deref(),
                key: record.key.as_deref(),
                timestamp: None,
                headers: headers_of(record),
            };
            let handed = producer.send_result(sent).map_err(|(error, _)| failed(cluster, record, &error))?;
            reports.push(async move {
                match handed.await {
                    Ok(Ok(delivery)) => Ok(Appended {
                        partition: delivery.partition,
                        offset: delivery.offset,
                        append_time_ms: delivery.timestamp.to_millis().unwrap_or_default(),
                    }),
                    Ok(Err((error, _))) => Err(failed(cluster, record, &error)),
                    Err(_) => Err(LogError::Closed),
                }
            });
        }
        try_join_all(reports).await
    }
}

fn producer(cluster: &Cluster) -> Result<FutureProducer<Reporting>, LogError> {
    cluster.config.appender().create_with_context(Reporting(cluster.board.clone())).map_err(|error| cannot_make(&error))
}

fn failed(cluster: &Cluster, record: &NewRecord, error: &KafkaError) -> LogError {
    let what = format!("writing to {}", record.topic);
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    if matches!(
        code,
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition
    ) {
        return LogError::UnknownTopic(record.topic.name().to_owned());
    }
    if code == RDKafkaErrorCode::TopicAuthorizationFailed {
        let missing = MissingPermission::Topic(Access::Write, cluster.config.name_of(record.topic));
        let is_needed = record.topic.is_needed();
        return if is_needed { cluster.board.permissions.refused(missing) } else { LogError::Refused(missing.to_string()) };
    }
    refused(code, &what).unwrap_or_else(|| cluster.board.unavailable(&format!("{what}: {error}")))
}
