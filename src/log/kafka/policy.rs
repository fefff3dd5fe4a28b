//! The contract's policies as Kafka's settings of a topic, and whether a topic that exists has them.
//!
//! Where states or the ledger can be lost, the log is refused until the settings are right; everything else only raises a
//! warning.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::telemetry::alarms::{About, Alarm, Cause};
use crate::wire::topics::{Retention, Topic};

/// The settings of a topic by their names.
pub(super) type Settings = BTreeMap<String, String>;

/// A setting that differs from the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub is_fatal: bool,
    pub text: String,
}

/// Kafka 4 takes no smaller segments.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// The contract's policies as Kafka's settings. A tracked topic keeps at most `retained_bytes` in each partition.
pub(crate) fn settings_of(topic: Topic, retained_bytes: Option<u64>) -> Vec<(&'static str, String)> {
    let mut settings = match topic.retention() {
        Retention::Kept => vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", "-1".to_owned())],
        Retention::Delete(after) => {
            vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", after.as_millis().to_string())]
        }
        // A restore also reads what is not compacted yet, so segments are short and compacted soon. Tombstones stay a day, so
        // that every follower sees them.
        Retention::Compacted => vec![
            ("cleanup.policy", "compact".to_owned()),
            ("segment.ms", "600000".to_owned()),
            ("segment.bytes", "67108864".to_owned()),
            ("min.cleanable.dirty.ratio", "0.2".to_owned()),
            ("max.compaction.lag.ms", "3600000".to_owned()),
            ("delete.retention.ms", "86400000".to_owned()),
        ],
    };
    if topic.retention() == Retention::Kept {
        settings.push(("retention.bytes", "-1".to_owned()));
    }
    if let Some(bytes) = retained_bytes {
        settings.push(("retention.bytes", bytes.to_string()));
        // Kafka deletes whole segments; one of the default size would be larger than everything that may stay.
        settings.push(("segment.bytes", (bytes / 4).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX).to_string()));
    }
    let time = if topic.is_log_append_time() { "LogAppendTime" } else { "CreateTime" };
    settings.push(("message.timestamp.type", time.to_owned()));
    // A dead letter is larger than the record that it holds.
    settings.push(("max.message.bytes", "8388608".to_owned()));
    settings
}

/// Compares a topic's settings with the contract's. `retained_bytes` is what each of its partitions may keep at most.
pub(super) fn findings(topic: Topic, settings: &Settings, retained_bytes: Option<u64>) -> Vec<Finding> {
    let mut comparison = Comparison { settings, wanted: settings_of(topic, retained_bytes), found: Vec::new() };
    match topic.retention() {
        Retention::Compacted => comparison.compacted(holds_states(topic)),
        Retention::Kept => comparison.kept(),
        Retention::Delete(_) => comparison.deleted(retained_bytes),
    }
    comparison.every_topic();
    comparison.found
}

/// A topic's settings beside the wanted ones, and how they differ.
struct Comparison<'a> {
    settings: &'a Settings,
    wanted: Vec<(&'static str, String)>,
    found: Vec<Finding>,
}

impl Comparison<'_> {
    fn of(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.of(name).and_then(|value| value.parse().ok())
    }

    fn wanted(&self, name: &str) -> Option<&str> {
        self.wanted.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn cleans_up_by(&self, policy: &str) -> bool {
        self.of("cleanup.policy").is_some_and(|cleanup| cleanup.contains(policy))
    }

    fn add(&mut self, is_fatal: bool, name: &str, why: &str) {
        let is = self.of(name).unwrap_or("unknown");
        // The settings that topics are made without have Kafka's defaults.
        let default = if name == "compression.type" { "producer" } else { "0" };
        let wanted = self.wanted(name).unwrap_or(default);
        let text = format!("{name} is {is}, not {wanted}: {why}");
        self.found.push(Finding { is_fatal, text });
    }

    fn compacted(&mut self, holds_states: bool) {
        let is_known = self.of("cleanup.policy").is_some_and(|cleanup| !cleanup.is_empty());
        if is_known && (self.cleans_up_by("delete") || !self.cleans_up_by("compact")) {
            let why = "records that were not rewritten lately are deleted, and product states with them";
            self.add(holds_states, "cleanup.policy", why);
        }
        for name in ["max.compaction.lag.ms", "min.compaction.lag.ms"] {
            if self.number(name).is_some_and(|lag| lag > 3_600_000) {
                self.add(false, name, "a start reads more than necessary");
            }
        }
        if self.number("delete.retention.ms").is_some_and(|kept| kept < 86_400_000) {
            self.add(false, "delete.retention.ms", "a follower that was disconnected may miss that products were removed");
        }
    }

    fn kept(&mut self) {
        let compacts = self.cleans_up_by("compact");
        if compacts {
            let why = "compaction keeps only the last record of each product, and the ledger needs all of them";
            self.add(true, "cleanup.policy", why);
        }
        for name in ["retention.ms", "retention.bytes"] {
            if !compacts && self.number(name).is_some_and(|limit| limit >= 0) {
                self.add(false, name, "`kartshoppe check` can prove the ledger only since the first record that is left");
            }
        }
    }

    fn deleted(&mut self, retained_bytes: Option<u64>) {
        let compacts = self.cleans_up_by("compact");
        if compacts {
            self.add(false, "cleanup.policy", "compaction keeps only the last record of each key");
        }
        let kept = self.wanted("retention.ms").and_then(|value| value.parse().ok());
        if !compacts && self.number("retention.ms") != kept && self.of("retention.ms").is_some() {
            self.add(false, "retention.ms", "records stay longer or shorter than the contract says");
        }
        // An operator may keep fewer bytes.
        let most = retained_bytes.and_then(|bytes| i64::try_from(bytes).ok());
        if let (Some(most), Some(kept)) = (most, self.number("retention.bytes"))
            && !(0..=most).contains(&kept)
        {
            let why = "anonymous clients can fill the brokers' disks through this topic (log.tracked_retained_bytes)";
            self.add(false, "retention.bytes", why);
        }
    }

    fn every_topic(&mut self) {
        let time = self.of("message.timestamp.type");
        if time.is_some() && time != self.wanted("message.timestamp.type") {
            let why = "records do not carry the contract's kind of time; meanwhile direct orders are published through the WAL";
            self.add(false, "message.timestamp.type", why);
        }
        if self.of("compression.type").is_some_and(|codec| codec != "producer") {
            self.add(false, "compression.type", "the broker recompresses every batch");
        }
        if self.number("max.message.bytes").is_some_and(|limit| limit < 8_388_608) {
            self.add(false, "max.message.bytes", "records that are larger than this become dead letters");
        }
    }
}

/// Whether the topic's records are states that are kept nowhere else.
fn holds_states(topic: Topic) -> bool {
    matches!(topic, Topic::Products | Topic::CdcPositions)
}

/// The alarm of a topic, by its name in Kafka.
pub(super) fn alarm(name: &str, findings: &[Finding]) -> Option<Alarm> {
    let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    let text = format!(
        "the topic {name} does not have the settings that the shop needs: {}. Change them with `kafka-configs --alter --topic \
         {name} --add-config …`",
        texts.join("; ")
    );
    let is_fatal = findings.iter().any(|finding| finding.is_fatal);
    (!findings.is_empty()).then(|| if is_fatal { Alarm::blocks(text) } else { Alarm::warns(text) })
}

pub(super) fn about(topic: Topic) -> About {
    About::topic(Cause::TopicPolicy, topic.name())
}

/// How long records stay by these settings, in words.
pub(super) fn kept(settings: &Settings) -> String {
    let of = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut words = Vec::new();
    if of("cleanup.policy").contains("compact") {
        words.push("the last of each key".to_owned());
    }
    if of("cleanup.policy").contains("delete") {
        let age = of("retention.ms").parse::<u64>().map(|ms| humantime::format_duration(Duration::from_millis(ms)).to_string());
        let bytes = of("retention.bytes").parse::<u64>().map(|bytes| format!("{bytes} bytes a partition"));
        let limits: Vec<String> = [age, bytes].into_iter().flatten().collect();
        words.push(if limits.is_empty() { "for ever".to_owned() } else { limits.join(" or ") });
    }
    words.join(", for ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Option<u64> = Some(1_000);

    fn settings(topic: Topic, changes: &[(&str, &str)]) -> Settings {
        let made =
            settings_of(topic, KEPT.filter(|_| topic.is_tracked())).into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut settings: Settings = made.collect();
        settings.insert("compression.type".to_owned(), "producer".to_owned());
        settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        settings
    }

    #[test]
    fn topics_as_we_make_them_are_right() {
        for topic in Topic::ALL {
            assert_eq!(findings(topic, &settings(topic, &[]), KEPT.filter(|_| topic.is_tracked())), [], "{topic}");
        }
    }

    #[test]
    fn what_loses_states_or_the_ledger_is_refused_and_the_rest_warns() {
        let cases = [
            (Topic::Products, "cleanup.policy", "delete", true),
            (Topic::Products, "cleanup.policy", "compact,delete", true),
            (Topic::CdcPositions, "cleanup.policy", "delete", true),
            (Topic::OrderEvents, "cleanup.policy", "compact", true),
            (Topic::InventoryEvents, "cleanup.policy", "delete,compact", true),
            (Topic::ProductUpdates, "retention.ms", "60000", false),
            (Topic::InventoryEvents, "retention.bytes", "1000", false),
            (Topic::OrderEvents, "message.timestamp.type", "CreateTime", false),
            (Topic::Products, "delete.retention.ms", "1000", false),
            (Topic::Products, "max.compaction.lag.ms", "9223372036854775807", false),
            (Topic::Products, "min.compaction.lag.ms", "86400000", false),
            (Topic::Products, "compression.type", "zstd", false),
            (Topic::OrderEvents, "max.message.bytes", "1048588", false),
            (Topic::WebsocketFanout, "retention.ms", "1000", false),
            (Topic::InventoryAlerts, "cleanup.policy", "compact", false),
            (Topic::EcommerceEvents, "retention.bytes", "-1", false),
            (Topic::ShoppingCartEvents, "retention.bytes", "1001", false),
        ];
        for (topic, name, value, is_fatal) in cases {
            let found = findings(topic, &settings(topic, &[(name, value)]), KEPT.filter(|_| topic.is_tracked()));
            assert_eq!((found.len(), found[0].is_fatal), (1, is_fatal), "{topic} {name} {value}: {found:?}");
            assert!(found[0].text.contains(name), "{found:?}");
            assert_eq!(alarm("x", &found).unwrap().blocks, is_fatal);
        }
    }

    #[test]
    fn the_listing_says_what_kafka_does() {
        let kept_as = |topic, changes| kept(&settings(topic, changes));
        assert_eq!(kept_as(Topic::Products, &[]), "the last of each key");
        assert_eq!(kept_as(Topic::OrderEvents, &[]), "for ever");
        assert_eq!(kept_as(Topic::OrderEvents, &[("retention.ms", "60000")]), "1m");
        let both = [("cleanup.policy", "compact,delete"), ("retention.ms", "60000")];
        assert_eq!(kept_as(Topic::Products, &both), "the last of each key, for 1m");
    }

    #[test]
    fn policies_are_those_of_the_contract() {
        let value = |topic, key| {
            settings_of(topic, topic.is_tracked().then_some(40_000_000))
                .into_iter()
                .find(|(known, _)| *known == key)
                .map(|(_, value)| value)
        };
        assert_eq!(value(Topic::Products, "cleanup.policy").as_deref(), Some("compact"));
        assert_eq!(value(Topic::OrderEvents, "retention.ms").as_deref(), Some("-1"));
        assert_eq!(value(Topic::OrderEvents, "message.timestamp.type").as_deref(), Some("LogAppendTime"));
        assert_eq!(value(Topic::Products, "message.timestamp.type").as_deref(), Some("CreateTime"));
        assert_eq!(value(Topic::WebsocketFanout, "retention.ms").as_deref(), Some("3600000"));
        assert_eq!(value(Topic::DeadLetters, "retention.ms").as_deref(), Some("2592000000"));
        assert_eq!(value(Topic::EcommerceEvents, "retention.bytes").as_deref(), Some("40000000"));
        assert_eq!(value(Topic::ShoppingCartEvents, "segment.bytes").as_deref(), Some("10000000"));
        assert_eq!(value(Topic::WebsocketFanout, "retention.bytes"), None);
    }
}
