//! Dead letters: what they say of themselves, what a corrected copy would be, and where one already is.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::window;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId};
use crate::domain::inventory::InputTopic;
use crate::log::partitioner::partition_of;
use crate::log::{EventLog, Headers, LogError, NewRecord, Offset, PartitionId, Record, Start, TopicPartition};
use crate::wire::invalid::Invalid;
use crate::wire::topics::headers::{self, dead_letter as name};
use crate::wire::topics::{Topic, inventory_event, order_event, product_updates};

/// Clocks of database and log may differ by so much.
const SKEW_MS: i64 = 60_000;

/// A dead letter.
#[derive(Debug, Clone)]
pub struct Letter {
    pub record: Record,
    /// Kind of failure, and its text.
    pub kind: String,
    pub message: String,
    /// The input that it came from, `None` if its headers do not say.
    pub source: Option<InputTopic>,
    pub source_place: String,
    /// How many bytes the source's value had, where it was cut.
    pub cut_from: Option<String>,
}

/// An order item that a value names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedItem {
    pub product_id: ProductId,
    pub order_id: OrderId,
    pub order_item_id: OrderItemId,
}

impl From<Record> for Letter {
    fn from(record: Record) -> Self {
        let text = |name: &str| record.headers.get(name).map(|text| String::from_utf8_lossy(text).into_owned());
        let source = text(name::TOPIC);
        let place = [source.clone(), text(name::PARTITION), text(name::OFFSET)].map(Option::unwrap_or_default).join("/");
        Self {
            kind: text(name::EXCEPTION).unwrap_or_else(|| "unknown".to_owned()),
            message: text(name::MESSAGE).unwrap_or_default(),
            source: source.and_then(|topic| InputTopic::ALL.into_iter().find(|input| input.as_str() == topic)),
            source_place: place,
            cut_from: text(headers::CUT_FROM),
            record,
        }
    }
}

impl Letter {
    /// Its own place, as the header of a copy names it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.record.topic, self.record.partition, self.record.offset)
    }

    /// The value as text, or in base64.
    #[must_use]
    pub fn shown_value(&self, most: usize) -> (Option<String>, Option<String>) {
        let Some(value) = &self.record.value else { return (None, None) };
        let start = value.slice(..value.len().min(most));
        match std::str::from_utf8(&start) {
            Ok(text) => (Some(text.to_owned()), None),
            // A text that was cut within a character is a text.
            Err(error) if error.error_len().is_none() => {
                (Some(String::from_utf8_lossy(&start[..error.valid_up_to()]).into_owned()), None)
            }
            Err(_) => (None, Some(STANDARD.encode(&start))),
        }
    }

    /// The order item that its value names, if one can be made out. Mostly it got its outcome together with the letter; whether it
    /// did is for the log to say.
    #[must_use]
    pub fn named_item(&self) -> Option<NamedItem> {
        (self.source == Some(InputTopic::OrderEvents)).then(|| named_item(self.record.value.as_ref()?)).flatten()
    }

    /// The copy to append, with this value.
    ///
    /// # Errors
    /// Why it would be a dead letter again.
    pub fn copy(&self, source: InputTopic, value: Option<Bytes>) -> Result<(NewRecord, Option<NamedItem>), Invalid> {
        let topic = Topic::from(source);
        let record = Record { topic, value: value.clone(), ..self.record.clone() };
        let (product_id, named) = match source {
            InputTopic::OrderEvents => {
                let value = value.as_ref().ok_or(Invalid::NullValue)?;
                (Some(order_event::decode_value(value)?.product_id), named_item(value))
            }
            InputTopic::ProductUpdates => {
                let elements = product_updates::decode(&Record { key: None, ..record.clone() });
                let asked = match &value {
                    None => product_updates::decode(&record),
                    Some(_) => elements,
                };
                let mut products = Vec::new();
                for element in asked {
                    products.push(element.decoded?.product_id);
                }
                // Several products have no key between them: each finds its own partition.
                (if products.len() == 1 { products.pop() } else { None }, None)
            }
        };
        let mut kept = self.record.headers.clone();
        let is_ours = |name: &str| {
            name == headers::CAUSE
                || name == headers::CUT_FROM
                || name == headers::MOVED_FROM
                || name == headers::REPLAY_OF
                || name.starts_with("__streams.errors.")
        };
        kept.0.retain(|(name, _)| !is_ours(name));
        kept.push(headers::REPLAY_OF, self.place());
        let key = product_id.map(|id| Bytes::copy_from_slice(id.as_str().as_bytes()));
        Ok((NewRecord { topic, partition: None, key, value, headers: Headers(kept.0) }, named))
    }
}

fn named_item(value: &[u8]) -> Option<NamedItem> {
    let (product_id, outcome) = order_event::named_item(value)?;
    Some(NamedItem { product_id, order_id: outcome.order_id, order_item_id: outcome.order_item_id? })
}

/// The dead letter at this place.
///
/// # Errors
/// Those of reading.
pub async fn letter(log: &dyn EventLog, partition: PartitionId, offset: Offset) -> Result<Option<Letter>, LogError> {
    let at = TopicPartition::new(Topic::DeadLetters, partition);
    Ok(window::exactly(log, at, offset).await?.map(Letter::from))
}

/// Bytes of a partition's newest letters that are held at once, and letters that are read in one step.
const NEWEST_BYTES: usize = 16 * 1024 * 1024;
const STEP: Offset = 25;

/// The newest dead letters, at most so many of each partition and fewer where they are large; newest first.
///
/// # Errors
/// Those of reading.
pub async fn newest(log: &dyn EventLog, most: Offset) -> Result<Vec<Letter>, LogError> {
    let known = log.topics().await?.into_iter().find(|info| info.topic == Topic::DeadLetters);
    let mut letters = Vec::new();
    for (partition, info) in (0..).zip(known.map(|info| info.partitions).unwrap_or_default()) {
        if info.end > info.start {
            let at = TopicPartition::new(Topic::DeadLetters, partition);
            let (low, mut high, mut bytes) = (info.start.max(info.end - most), info.end, 0);
            while high > low && bytes < NEWEST_BYTES {
                let from = low.max(high - STEP);
                let step = window::read(log, at, from..high, |_| true).await?;
                bytes += step.iter().map(|record| record.value.as_ref().map_or(0, Bytes::len)).sum::<usize>();
                letters.extend(step);
                high = from;
            }
        }
    }
    letters.sort_by_key(|record| std::cmp::Reverse((record.append_time_ms, record.partition, record.offset)));
    Ok(letters.into_iter().map(Letter::from).collect())
}

/// Where the log holds an outcome of this item, looking from a moment on.
///
/// # Errors
/// Those of reading; [`LogError::Deadline`] if it was not read to its end in time.
pub async fn outcome_of(
    log: &dyn EventLog,
    item: &NamedItem,
    since_ms: EpochMs,
    until: Instant,
) -> Result<Option<(TopicPartition, Offset)>, LogError> {
    let is_outcome = |record: &Record| {
        let fact = record.value.as_ref().and_then(|value| inventory_event::decode(value).ok());
        let is_expired = |fact: &inventory_event::InventoryFact| {
            fact.event_type == inventory_event::EventType::Known(crate::domain::inventory::EventKind::OrderExpired)
        };
        let order = fact.filter(|fact| !is_expired(fact)).and_then(|fact| fact.order);
        order.is_some_and(|order| order.order_item_id.as_ref() == Some(&item.order_item_id) && order.order_id == item.order_id)
    };
    let partition = partition_of(item.product_id.as_str().as_bytes(), log.partitions());
    let at = TopicPartition::new(Topic::InventoryEvents, partition);
    Ok(found(log, at, since_ms, until, is_outcome).await?.map(|offset| (at, offset)))
}

/// The copy of a letter on its input topic, looking from a moment on.
///
/// # Errors
/// Those of reading; [`LogError::Deadline`] if the topic was not read to its end in time.
pub async fn copy_of(
    log: &dyn EventLog,
    place: &str,
    topic: Topic,
    since_ms: EpochMs,
    until: Instant,
) -> Result<Option<(PartitionId, Offset)>, LogError> {
    let is_copy = |record: &Record| record.headers.get_str(headers::REPLAY_OF) == Some(place);
    for partition in 0..log.partitions() {
        if let Some(offset) = found(log, TopicPartition::new(topic, partition), since_ms, until, is_copy).await? {
            return Ok(Some((partition, offset)));
        }
    }
    Ok(None)
}

async fn found(
    log: &dyn EventLog,
    at: TopicPartition,
    since_ms: EpochMs,
    until: Instant,
    is_it: impl Fn(&Record) -> bool + Send + Sync,
) -> Result<Option<Offset>, LogError> {
    let mut found = None;
    let waited = until.saturating_duration_since(Instant::now());
    let scan = window::scan(log, at, Start::Time(since_ms.saturating_sub(SKEW_MS).max(0)), |record| {
        found = is_it(record).then_some(record.offset);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    timeout_at(until, scan).await.map_err(|_| LogError::Deadline { waited })??;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::dead_letter;

    fn letter(topic: Topic, value: &'static [u8]) -> Letter {
        let mut headers = Headers::none();
        headers.push("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let (key, value) = (Some(Bytes::from_static(b"WRONG")), Some(Bytes::from_static(value)));
        let source = Record { topic, partition: 2, offset: 9, append_time_ms: 5, key, value, headers };
        let NewRecord { topic, key, value, headers, .. } = dead_letter::of_invalid(&source, 0, None, &Invalid::NullValue);
        Record { topic, partition: 1, offset: 4, append_time_ms: 6, key, value, headers }.into()
    }

    #[test]
    fn a_copy_has_the_product_as_its_key_and_says_what_it_is_a_copy_of() {
        let product = br#"{"productId":"MUG","name":"Mug","price":1.5,"inventory":3}"#;
        let letter = letter(Topic::ProductUpdates, product);
        assert_eq!((letter.place().as_str(), letter.source_place.as_str()), ("dead-letters/1/4", "product-updates/2/9"));
        let (copy, named) = letter.copy(InputTopic::ProductUpdates, letter.record.value.clone()).unwrap();
        assert_eq!((copy.key.as_deref(), named), (Some(b"MUG".as_slice()), None));
        let headers: Vec<_> = copy.headers.0.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(headers, ["traceparent", headers::REPLAY_OF]);
        assert!(letter.copy(InputTopic::ProductUpdates, Some(Bytes::from_static(b"{broken"))).is_err());
        let two = Bytes::from_static(br#"[{"productId":"A","name":"a","price":1,"inventory":1},{"productId":"B"}]"#);
        assert!(letter.copy(InputTopic::ProductUpdates, Some(two)).is_err(), "each element counts");
    }

    #[test]
    fn an_order_event_names_the_item_that_was_answered() {
        let letter = letter(Topic::OrderEvents, br#"{"orderId":"o","productId":"MUG","orderItemId":"i","quantity":"many"}"#);
        let named = letter.named_item().unwrap();
        assert_eq!((named.order_id.as_str(), named.order_item_id.as_str()), ("o", "i"));
        assert!(letter.copy(InputTopic::OrderEvents, letter.record.value.clone()).is_err());
        assert!(letter.copy(InputTopic::OrderEvents, None).is_err());
        assert_eq!(letter.shown_value(9), (Some("{\"orderId".to_owned()), None));
    }
}
