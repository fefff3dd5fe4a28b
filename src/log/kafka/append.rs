//! Plain appends: one idempotent producer of this process, which gets every record once and never again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::super::{Appended, LogError, NewRecord};
use super::cluster::{Cluster, PATIENCE, cannot_make};
use super::records::headers_of;
use super::rights::{Access, Lack};
use super::trouble::{Told, refused};

/// The process's own producer.
pub(super) struct Appender(FutureProducer<Told>);

impl Appender {
    pub fn new(cluster: &Cluster) -> Result<Self, LogError> {
        let told = Told(cluster.board.clone());
        Ok(Self(cluster.config.appender().create_with_context(told).map_err(|error| cannot_make(&error))?))
    }

    /// Has the producer look at a topic that is new or was made anew: it keeps in mind that there was none.
    pub async fn look_at(&self, name: String) {
        let producer = self.0.clone();
        // What it cannot see now it will be told with the next append.
        let _ = tokio::task::spawn_blocking(move || producer.client().fetch_metadata(Some(&name), PATIENCE).map(drop)).await;
    }

    /// Hands the records over and waits for the broker's word on each.
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
        // A topic that was deleted looks like brokers that are slow to say where it is.
        let known = if failed.is_retryable() { cluster.ask(Cluster::topics).await.ok() } else { None };
        let missing = known.and_then(|known| records.iter().find(|record| !known.contains_key(&record.topic)));
        Err(missing.map_or(failed, |record| LogError::UnknownTopic(record.topic.name().to_owned())))
    }

    async fn hand_over(&self, cluster: &Cluster, records: &[NewRecord]) -> Result<Vec<Appended>, LogError> {
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
            let handed = self.0.send_result(sent).map_err(|(error, _)| failed(cluster, record, &error))?;
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
        let lack = Lack::Topic(Access::Write, cluster.config.name_of(record.topic));
        return if record.topic.is_needed() { cluster.board.lack(lack) } else { LogError::Refused(lack.to_string()) };
    }
    refused(code, &what).unwrap_or_else(|| cluster.board.unavailable(&format!("{what}: {error}")))
}
