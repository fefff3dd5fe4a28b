//! What this process asks the brokers besides reading and writing: topics, their ends, groups, permissions.
//!
//! The client's calls block, so each runs on a blocking thread ([`Cluster::ask`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::groups::GroupMemberInfo;
use rdkafka::{ClientConfig, Offset as ClientOffset, TopicPartitionList};
use tokio::time::Instant;

use super::board::Board;
use super::codes::refused;
use super::foreign_members::ForeignMembers;
use super::native;
use super::options::KafkaConfig;
use super::permissions::{Access, MissingPermission};
use super::records::Names;
use super::repair::previous_sessions::PreviousSessions;
use super::reporting::Reporting;
use crate::log::{LogError, Offset, PartitionId, PartitionInfo, Position, Positions, TopicPartition};
use crate::wire::topics::Topic;

/// A question that is not answered by then makes the log count as not available.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for the leaders and coordinators of new topics and groups, and how often to ask meanwhile.
const SETTLING: Duration = Duration::from_secs(3);
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How long the client of a failed call is polled for the reason.
const REASONS: Duration = Duration::from_millis(20);

/// The Kafka of this process.
pub(super) struct Cluster {
    pub config: KafkaConfig,
    pub board: Arc<Board>,
    /// Bytes that each tracked topic keeps; not set: no limit.
    pub tracked_bytes: OnceLock<u64>,
    pub previous_sessions: PreviousSessions,
    pub foreign_members: ForeignMembers,
    /// Bytes of a record that the topics take; 0 while that is not known.
    record_limit: AtomicUsize,
    inspector: BaseConsumer<Reporting>,
    /// Answers the same questions from what is committed only.
    committed_inspector: BaseConsumer<Reporting>,
}

impl Cluster {
    pub fn new(config: KafkaConfig, board: Arc<Board>) -> Result<Self, LogError> {
        let client =
            |config: ClientConfig| config.create_with_context(Reporting(board.clone())).map_err(|error| cannot_make(&error));
        Ok(Self {
            inspector: client(config.inspector("read_uncommitted"))?,
            committed_inspector: client(config.inspector("read_committed"))?,
            foreign_members: ForeignMembers::new(board.alarms.clone()),
            config,
            board,
            tracked_bytes: OnceLock::new(),
            previous_sessions: PreviousSessions::default(),
            record_limit: AtomicUsize::new(0),
        })
    }

    /// The topics take records of at most this many bytes.
    pub fn limit_records(&self, limit: usize) {
        self.record_limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes of a record that our producers and every topic take, as far as is known.
    pub fn record_limit(&self) -> usize {
        let topics = Some(self.record_limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0);
        topics.unwrap_or(usize::MAX).min(self.config.record_limit())
    }

    /// Bytes that each partition of this topic keeps: Kafka limits partitions, not topics.
    pub fn retained_bytes(&self, topic: Topic) -> Option<u64> {
        let partitions = topic.partitions().among(self.config.partitions).max(1);
        self.tracked_bytes.get().filter(|_| topic.is_tracked()).map(|bytes| bytes / partitions.unsigned_abs() as u64)
    }

    /// Runs a question on a blocking thread.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Self) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let cluster = self.clone();
        let asked = tokio::task::spawn_blocking(move || question(&cluster)).await;
        asked.unwrap_or_else(|failed| Err(LogError::Unavailable(format!("a request to Kafka ended early: {failed}"))))
    }

    /// Our topics that exist, with their partition counts.
    pub fn topics(&self) -> Result<BTreeMap<Topic, PartitionId>, LogError> {
        let metadata = self.inspector.fetch_metadata(None, PATIENCE).map_err(|error| self.failed("listing topics", &error))?;
        self.board.health.answered();
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        let ours = known.filter_map(|topic| {
            let count = PartitionId::try_from(topic.partitions().len()).ok()?;
            Some((self.config.topic_of(topic.name())?, count))
        });
        Ok(ours.collect())
    }

    /// Where partitions begin and end now. The end is beyond everything that was written, committed or not.
    pub fn bounds(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, PartitionInfo>, LogError> {
        let starts = self.offsets(&self.inspector, partitions, |_| ClientOffset::Beginning)?;
        let ends = self.offsets(&self.inspector, partitions, |_| ClientOffset::End)?;
        let place = |at: &TopicPartition| {
            let place = |known: &BTreeMap<_, _>| known.get(at).copied().unwrap_or_default();
            (*at, PartitionInfo { start: place(&starts), end: place(&ends) })
        };
        Ok(partitions.iter().map(place).collect())
    }

    /// The first record at or after a time, by partition; none where there is no such record.
    pub fn at_times(&self, times: &BTreeMap<TopicPartition, i64>) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        let partitions: Vec<_> = times.keys().copied().collect();
        self.offsets(&self.inspector, &partitions, |at| ClientOffset::Offset(times.get(at).copied().unwrap_or_default().max(0)))
    }

    /// Where undecided transactions begin: the first offset of the oldest one, by partition.
    pub fn undecided(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        // In this order: what is decided between the two questions counts as undecided, never the other way round.
        let mut decided = self.offsets(&self.committed_inspector, partitions, |_| ClientOffset::End)?;
        let ends = self.offsets(&self.inspector, partitions, |_| ClientOffset::End)?;
        decided.retain(|at, decided| ends.get(at).is_some_and(|end| *decided < *end));
        Ok(decided)
    }

    /// One request to each leader. `wanted` is a time, or the protocol's value for either end; the answer has the offset in its
    /// place.
    fn offsets(
        &self,
        client: &BaseConsumer<Reporting>,
        partitions: &[TopicPartition],
        wanted: impl Fn(&TopicPartition) -> ClientOffset,
    ) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for at in partitions {
            let added = list.add_partition_offset(&self.config.name_of(at.topic), at.partition, wanted(at));
            added.map_err(|error| self.failed("naming partitions", &error))?;
        }
        let answer = when_settled(|| client.offsets_for_times(list.clone(), PATIENCE).and_then(without_errors));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.unknown(partitions)?.unwrap_or_else(|| self.failed("asking for offsets", &error))),
        };
        self.board.health.answered();
        let mut offsets = BTreeMap::new();
        for element in answer.elements() {
            let Some(topic) = self.config.topic_of(element.topic()) else { continue };
            if let ClientOffset::Offset(offset) = element.offset() {
                offsets.insert(TopicPartition::new(topic, element.partition()), offset);
            }
        }
        Ok(offsets)
    }

    /// A call about these partitions failed: because one of them does not exist?
    fn unknown(&self, partitions: &[TopicPartition]) -> Result<Option<LogError>, LogError> {
        let topics = self.topics()?;
        let missing = partitions.iter().find(|at| topics.get(&at.topic).is_none_or(|count| at.partition >= *count));
        Ok(missing.map(|at| LogError::UnknownTopic(at.topic.name().to_owned())))
    }

    /// The ids of those of our topics that exist.
    pub fn topic_ids(&self, topics: &[Topic]) -> Result<BTreeMap<Topic, String>, LogError> {
        let names: Vec<_> = topics.iter().map(|topic| self.config.name_of(*topic)).collect();
        let described = self.describe(&names)?;
        Ok(topics.iter().copied().zip(described).filter_map(|(topic, known)| Some((topic, known?.id))).collect())
    }

    /// Which of these topics, by their names in Kafka, do not permit this access.
    pub fn missing_permissions<'a>(
        &self,
        access: Access,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<MissingPermission>, LogError> {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let described = self.describe(&names)?;
        let refused =
            names.into_iter().zip(described).filter(|(_, known)| !known.as_ref().is_some_and(|topic| topic.may(access)));
        Ok(refused.map(|(name, _)| MissingPermission::Topic(access, name)).collect())
    }

    /// A client was refused access to one of these topics, but the error does not say to which: finds out.
    pub fn refused_topic<'a>(&self, access: Access, names: impl IntoIterator<Item = &'a str>) -> Option<LogError> {
        let missing = self.missing_permissions(access, names).unwrap_or_default();
        missing.into_iter().map(|missing| self.board.permissions.refused(missing)).reduce(|first, _| first)
    }

    fn describe(&self, names: &[String]) -> Result<Vec<Option<native::Described>>, LogError> {
        let described = native::describe_topics(self.inspector.client(), names, PATIENCE)
            .map_err(|code| self.failed_with(code, "asking for the ids of topics"))?;
        self.board.health.answered();
        Ok(described)
    }

    /// What a group has committed on these topics; waits for open transactions that move its positions.
    pub fn committed(&self, group: &str, topics: &BTreeMap<Topic, PartitionId>) -> Result<Positions, LogError> {
        let config = self.config.group_inspector(group);
        let client: BaseConsumer<Reporting> =
            config.create_with_context(Reporting(self.board.clone())).map_err(|error| cannot_make(&error))?;
        let mut list = TopicPartitionList::new();
        for (topic, count) in topics {
            list.add_partition_range(&self.config.name_of(*topic), 0, count - 1);
        }
        let patience = self.config.transaction_timeout() + PATIENCE;
        let answer = when_settled(|| client.committed_offsets(list.clone(), patience).and_then(without_errors));
        let answer = answer.map_err(|error| self.failed("asking for the positions of a group", &error))?;
        self.positions_in(&answer)
    }

    /// Reads committed positions.
    pub fn positions_in(&self, list: &TopicPartitionList) -> Result<Positions, LogError> {
        let mut positions = Positions::new();
        for element in list.elements() {
            let Some(topic) = self.config.topic_of(element.topic()) else { continue };
            element.error().map_err(|error| self.failed("asking for the positions of a group", &error))?;
            if let ClientOffset::Offset(offset) = element.offset() {
                let position = Position { offset, metadata: element.metadata().to_owned() };
                positions.insert(TopicPartition::new(topic, element.partition()), position);
            }
        }
        self.board.health.answered();
        Ok(positions)
    }

    /// How many members a group has that the coordinator has not given up.
    pub fn members(&self, group: &str) -> Result<usize, LogError> {
        self.with_members(&self.config.prefixed(group), <[_]>::len)
    }

    /// Passes the members of a group, by its name in Kafka, to `read`.
    pub fn with_members<T: Default>(&self, name: &str, read: impl FnOnce(&[GroupMemberInfo]) -> T) -> Result<T, LogError> {
        let answer = self.inspector.client().fetch_group_list(Some(name), PATIENCE);
        let groups = answer.map_err(|error| self.failed("asking for the members of a group", &error))?;
        self.board.health.answered();
        Ok(groups.groups().iter().find(|group| group.name() == name).map(|group| read(group.members())).unwrap_or_default())
    }

    /// A consumer that reads these partitions from these offsets, and the names of their topics.
    pub fn consumer_from(
        &self,
        config: &ClientConfig,
        from: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(BaseConsumer<Reporting>, Names), LogError> {
        let failed = |error: KafkaError| self.failed("reading", &error);
        let reporting = Reporting(self.board.clone());
        let consumer: BaseConsumer<Reporting> = config.create_with_context(reporting).map_err(|error| cannot_make(&error))?;
        let names = Names::new(&self.config, from.keys().map(|at| at.topic).collect::<BTreeSet<_>>());
        // With the leaders known, the first fetch asks for everything at once.
        for name in names.all() {
            consumer.fetch_metadata(Some(name), PATIENCE).map_err(failed)?;
        }
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (at, offset) in from {
            let name = self.config.name_of(at.topic);
            list.add_partition_offset(&name, at.partition, ClientOffset::Offset(*offset)).map_err(failed)?;
        }
        consumer.assign(&list).map_err(failed)?;
        Ok((consumer, names))
    }

    /// What the failure of a call means. The reason often comes as an event after the failure, so the client is polled for it.
    pub fn failed(&self, what: &str, error: &KafkaError) -> LogError {
        match error.rdkafka_error_code() {
            Some(code) => self.failed_with(code, what),
            None => LogError::Unavailable(format!("{what}: {error}")),
        }
    }

    fn failed_with(&self, code: RDKafkaErrorCode, what: &str) -> LogError {
        if let Some(refused) = refused(code, what) {
            return refused;
        }
        if let Some(Err(error)) = self.inspector.poll(REASONS) {
            tracing::debug!(%error, "the client's reason");
        }
        self.board.unavailable(&format!("{what}: {code}"))
    }
}

/// Every partition of these topics.
pub(super) fn partitions_of(topics: &BTreeMap<Topic, PartitionId>) -> Vec<TopicPartition> {
    topics.iter().flat_map(|(topic, count)| (0..*count).map(|partition| TopicPartition::new(*topic, partition))).collect()
}

/// Asks again for a moment while the leaders and coordinators of new topics and groups are still being found.
fn when_settled<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + SETTLING;
    loop {
        match ask() {
            Err(error) if error.rdkafka_error_code().is_some_and(is_settling) && Instant::now() < deadline => {
                std::thread::park_timeout(ASK_AGAIN);
            }
            answer => return answer,
        }
    }
}

fn is_settling(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
    )
}

/// Fails with the first error that a partition has.
fn without_errors(list: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
    let failed = list.elements().iter().find_map(|element| element.error().err());
    failed.map_or(Ok(list), Err)
}

/// A client that cannot be made has a bad property. Its value is not shown: it may be a password under a misspelt name.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds contain no value")]
pub(super) fn cannot_make(error: &KafkaError) -> LogError {
    let error = match error {
        KafkaError::ClientConfig(_, why, _, value) if value.is_empty() || !why.contains(value) => why.clone(),
        KafkaError::ClientConfig(_, _, name, _) => format!("the value of the property {name} is refused"),
        other => other.to_string(),
    };
    LogError::Refused(format!("{error}: check the section kafka.properties and KARTSHOPPE__KAFKA__PROPERTIES__…"))
}
