//! How the clients are configured: brokers, names, and librdkafka's properties for each kind of client.
//!
//! Properties come in three layers: defaults that were measured (docs/adr/0006), the shop's configuration, and what the log's
//! promises rest on, which no configuration can change.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::figures;
use crate::log::PartitionId;
use crate::wire::topics::Topic;

/// Milliseconds after which the broker aborts a transaction that its producer left open; others wait for as long.
const TRANSACTION_TIMEOUT: (&str, &str) = ("transaction.timeout.ms", "10000");

/// How often a client reports figures, in milliseconds; 0: never.
const STATISTICS: &str = "statistics.interval.ms";

/// Bytes of the largest record that a producer takes.
const MESSAGE_MAX: (&str, &str) = ("message.max.bytes", "8388608");

/// How long a group waits for the heartbeat of a member, unless the configuration says otherwise.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Prefixes of the properties that only one kind of client knows; the other kind would warn about them.
const PRODUCERS_ONLY: [&str; 17] = [
    "acks",
    "batch.",
    "compression.",
    "delivery.",
    "enable.gapless.",
    "enable.idempotence",
    "linger.ms",
    "message.send.",
    "message.timeout.",
    "partitioner",
    "queue.buffering.",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.",
    "retries",
    "sticky.",
    "transaction",
];
const CONSUMERS_ONLY: [&str; 12] = [
    "auto.",
    "check.crcs",
    "consume.",
    "enable.auto.",
    "enable.partition.eof",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.level",
    "max.poll.",
    "queued.",
    "session.timeout.",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Consumer,
    Producer,
}

impl Kind {
    fn knows(self, property: &str) -> bool {
        let others: &[&str] = if self == Self::Consumer { &PRODUCERS_ONLY } else { &CONSUMERS_ONLY };
        !others.iter().any(|start| property.starts_with(start))
    }
}

/// Which Kafka, and under which names.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub bootstrap_servers: String,
    /// Before every topic name, group and transactional id.
    pub topic_prefix: String,
    /// Any librdkafka property by its name.
    pub properties: BTreeMap<String, String>,
    /// Partitions of the keyed topics.
    pub partitions: PartitionId,
}

impl KafkaConfig {
    /// The topic's name in this Kafka.
    pub(super) fn name_of(&self, topic: Topic) -> String {
        format!("{}{}", self.topic_prefix, topic.name())
    }

    /// Which of our topics has this name.
    pub(super) fn topic_of(&self, name: &str) -> Option<Topic> {
        Topic::from_name(name.strip_prefix(&self.topic_prefix)?)
    }

    /// A group or transactional id.
    pub(super) fn prefixed(&self, id: &str) -> String {
        format!("{}{id}", self.topic_prefix)
    }

    /// Only asks questions.
    pub(super) fn inspector(&self, isolation: &str) -> ClientConfig {
        let mut client = self.consumer(&[]);
        client.set("isolation.level", isolation).set("enable.auto.commit", "false");
        client
    }

    /// Asks for the positions of a group, without being a member.
    pub(super) fn group_inspector(&self, group: &str) -> ClientConfig {
        let mut client = self.consumer(&[]);
        committed_only(&mut client).set("group.id", self.prefixed(group));
        client
    }

    /// Reads partitions that are assigned by hand. `wait` is how long a fetch may wait at the broker: the first fetch also delays
    /// partitions whose leader becomes known a moment later.
    pub(super) fn reader(&self, wait: Duration) -> ClientConfig {
        let wait = wait.as_millis().to_string();
        let mut client = self.consumer(&[
            ("fetch.wait.max.ms", &wait),
            ("fetch.message.max.bytes", "8388608"),
            ("queued.max.messages.kbytes", "32768"),
        ]);
        // librdkafka requires a group's name; this client never joins it and commits nothing.
        committed_only(&mut client).set("group.id", self.prefixed("kartshoppe-reader")).set("enable.partition.eof", "true");
        // Its log lines are served by no poll; the other clients log the same.
        client.set_log_level(RDKafkaLogLevel::Emerg);
        client
    }

    /// A member of a group. Membership is static: a member that comes back within the session timeout gets its partitions at
    /// once.
    pub(super) fn member(&self, group: &str, identity: &str) -> ClientConfig {
        let mut client = self.consumer(&[
            ("fetch.wait.max.ms", "100"),
            ("session.timeout.ms", &SESSION_TIMEOUT.as_millis().to_string()),
            ("heartbeat.interval.ms", "500"),
            ("fetch.message.max.bytes", "8388608"),
        ]);
        self.report_statistics(&mut client);
        committed_only(&mut client)
            .set("group.id", self.prefixed(group))
            .set("group.instance.id", self.prefixed(identity))
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "range");
        client
    }

    /// Writes transactions under this id.
    pub(super) fn transactional(&self, id: &str) -> ClientConfig {
        let mut client = self.producer(&[TRANSACTION_TIMEOUT, ("retry.backoff.ms", "1"), ("linger.ms", "5")]);
        client.set("transactional.id", self.prefixed(id)).set("delivery.report.only.error", "true");
        client
    }

    /// The broker aborts a transaction that is open for longer than this.
    pub(super) fn transaction_timeout(&self) -> Duration {
        let (name, default) = TRANSACTION_TIMEOUT;
        let configured = self.properties.get(name).map_or(default, String::as_str);
        Duration::from_millis(configured.parse().unwrap_or(10_000))
    }

    /// Writes single records, each of which is handed over once.
    pub(super) fn appender(&self) -> ClientConfig {
        self.producer(&[("linger.ms", "0"), ("message.timeout.ms", "30000"), ("topic.metadata.propagation.max.ms", "5000")])
    }

    /// Bytes of the largest record that our producers take.
    pub(super) fn record_limit(&self) -> usize {
        let (name, default) = MESSAGE_MAX;
        let configured = self.properties.get(name).map_or(default, String::as_str);
        configured.parse().unwrap_or(usize::MAX)
    }

    fn producer(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let ours = [
            ("compression.type", "lz4"),
            MESSAGE_MAX,
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "1048576"),
        ];
        let mut client = self.with_layers(Kind::Producer, &[&ours, defaults].concat());
        client.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        self.report_statistics(&mut client);
        client
    }

    fn consumer(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        self.with_layers(Kind::Consumer, &[&[("fetch.queue.backoff.ms", "5")], defaults].concat())
    }

    fn with_layers(&self, kind: Kind, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("client.id", "kartshoppe")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in defaults {
            client.set(*name, *value);
        }
        for (name, value) in self.properties.iter().filter(|(name, _)| kind.knows(name)) {
            client.set(name, value);
        }
        client.set("bootstrap.servers", &self.bootstrap_servers).set("allow.auto.create.topics", "false");
        client.set(STATISTICS, "0").set_log_level(RDKafkaLogLevel::Info);
        client
    }

    /// For clients that serve events at all times: in the queue of any other, statistics would pile up.
    fn report_statistics(&self, client: &mut ClientConfig) {
        client.set(STATISTICS, self.properties.get(STATISTICS).map_or(figures::EVERY_MS, String::as_str));
    }
}

fn committed_only(client: &mut ClientConfig) -> &mut ClientConfig {
    client.set("isolation.level", "read_committed").set("enable.auto.commit", "false").set("auto.offset.reset", "error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_reach_the_clients_that_know_them_and_promises_stay() {
        let configured = [
            ("sasl.username", "shop"),
            ("linger.ms", "7"),
            ("fetch.wait.max.ms", "9"),
            ("isolation.level", "read_uncommitted"),
            ("enable.idempotence", "false"),
            ("transaction.timeout.ms", "3000"),
        ];
        let config = KafkaConfig {
            bootstrap_servers: "broker:9092".to_owned(),
            topic_prefix: "test-".to_owned(),
            properties: configured.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            partitions: 4,
        };
        let member = config.member("inventory", "worker");
        assert_eq!(member.get("sasl.username"), Some("shop"));
        assert_eq!((member.get("linger.ms"), member.get("fetch.wait.max.ms")), (None, Some("9")));
        assert_eq!(member.get("isolation.level"), Some("read_committed"), "what the promises rest on cannot be changed");
        assert_eq!((member.get("group.id"), member.get("group.instance.id")), (Some("test-inventory"), Some("test-worker")));
        let writer = config.transactional("worker-a");
        assert_eq!((writer.get("linger.ms"), writer.get("fetch.wait.max.ms")), (Some("7"), None));
        assert_eq!((writer.get("enable.idempotence"), writer.get("transactional.id")), (Some("true"), Some("test-worker-a")));
        assert_eq!(config.transaction_timeout(), Duration::from_secs(3));
        assert_eq!(config.topic_of("test-order-events"), Some(Topic::OrderEvents));
        assert_eq!(config.topic_of("order-events"), None, "another shop's");
    }
}
