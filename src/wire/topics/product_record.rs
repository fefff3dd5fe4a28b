//! A record of `products`: the only copy of a product's state that counts.
//!
//! The value is the product with its current stock, the header [`super::state_header`] the rest; a null value says that the
//! product was removed, and the header [`headers::REVISION`] which of its versions that was. Written by the committer, read by
//! shards that restore and by the catalogue view.

use super::Topic;
use super::headers;
use super::output;
use super::state_header::{StateHeader, StateHeaderError};
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Applied, Cause, ProductState};
use crate::domain::product::Revision;
use crate::telemetry::context::TraceContext;
use crate::wire::invalid::Invalid;
use crate::wire::json;
use crate::wire::product::{self, ProductValue};
use crate::wire::topics::record::{Headers, NewRecord, Offset, PartitionId, Record};

/// The record that makes this state the committed one.
/// It goes to the partition of the product's inputs, so that state and inputs move together.
#[must_use]
pub fn record(state: &ProductState, partition: PartitionId, cause: &Cause, trace: Option<&TraceContext>) -> NewRecord {
    let mut headers = output::output_headers(cause, trace);
    headers.push(headers::STATE, StateHeader::from(state).encode());
    with_headers(&state.product.id, Some(state), partition, headers)
}

/// The record that says that the product is gone, and with which revision it left.
#[must_use]
pub fn tombstone(
    product_id: &ProductId,
    left: Option<Revision>,
    partition: PartitionId,
    cause: &Cause,
    trace: Option<&TraceContext>,
) -> NewRecord {
    let mut headers = output::output_headers(cause, trace);
    if let Some(Revision { life, version }) = left {
        headers.push(headers::REVISION, format!("{life};{version}"));
    }
    with_headers(product_id, None, partition, headers)
}

/// A state once more, as a foreign record overwrote it: compaction would keep that and drop ours. Its cause is that record.
#[must_use]
pub fn again(state: &ProductState, partition: PartitionId, foreign: Offset) -> NewRecord {
    let mut headers = Headers(Vec::with_capacity(2));
    headers.push(headers::CAUSE, format!("{}/{partition}/{foreign}/0", Topic::Products));
    headers.push(headers::STATE, StateHeader::from(state).encode());
    with_headers(&state.product.id, Some(state), partition, headers)
}

fn with_headers(id: &ProductId, state: Option<&ProductState>, partition: PartitionId, headers: Headers) -> NewRecord {
    NewRecord {
        topic: Topic::Products,
        partition: Some(partition),
        key: Some(output::key(id)),
        value: state.map(|state| json::to_bytes(&ProductValue::from(&state.product))),
        headers,
    }
}

/// The product that a record lies on, whatever its value.
#[must_use]
pub fn key_of(record: &Record) -> Option<ProductId> {
    ProductId::new(std::str::from_utf8(record.key.as_deref()?).ok()?).ok()
}

/// What a record of `products` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Restored {
    /// The product is gone; with which revision, unless another program says so or an older KartShoppe.
    Removed(ProductId, Option<Revision>),
    /// The product's state, as KartShoppe wrote it.
    Ours(ProductState),
    /// Another program wrote the record, without our header: lifetime 0, version 1, nothing applied, last command when it was
    /// appended.
    Foreign(ProductState),
}

/// Why a record of `products` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The state header is damaged or newer than this binary.
    #[error(transparent)]
    State(#[from] StateHeaderError),
    /// Key or value make no product.
    #[error(transparent)]
    Product(#[from] Invalid),
}

/// Reads a record of `products`. `stale_after_ms` gives foreign records their deadline.
///
/// # Errors
/// [`Unreadable`] if there is no key, key and value disagree, the value is no product or the header cannot be read.
pub fn decode(record: &Record, stale_after_ms: i64) -> Result<Restored, Unreadable> {
    let key = record.key.as_deref().ok_or(Invalid::KeylessTombstone)?;
    let Some(value) = &record.value else {
        let key =
            std::str::from_utf8(key).map_err(|error| Invalid::Malformed { reason: format!("the key is not UTF-8: {error}") })?;
        return Ok(Restored::Removed(ProductId::new(key).map_err(Invalid::from)?, left(&record.headers)));
    };
    let product = product::decode(value)?;
    super::product_updates::check_key(Some(key), &product.id)?;
    let Some(header) = record.headers.get(headers::STATE) else {
        let heard = record.append_time_ms;
        return Ok(Restored::Foreign(ProductState {
            product,
            revision: Revision::first_of(0),
            changed_at_ms: heard,
            last_heard_ms: heard,
            stale_deadline_ms: heard.saturating_add(stale_after_ms),
            stale: false,
            applied: Applied::default(),
        }));
    };
    let StateHeader { revision, changed_at_ms, last_heard_ms, stale_deadline_ms, stale, applied } =
        StateHeader::decode(&String::from_utf8_lossy(header))?;
    let state = ProductState { product, revision, changed_at_ms, last_heard_ms, stale_deadline_ms, stale, applied };
    Ok(Restored::Ours(state))
}

/// With which revision a tombstone says that its product left.
fn left(headers: &Headers) -> Option<Revision> {
    let (life, version) = headers.get_str(headers::REVISION)?.split_once(';')?;
    Some(Revision { life: life.parse().ok()?, version: version.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::{Command, Input, InputPosition, InputTopic, Rules, apply};
    use bytes::Bytes;

    fn state() -> ProductState {
        let product = product::decode(br#"{"productId":"MUG","name":"Mug","price":9.5,"inventory":3}"#).unwrap();
        let position = InputPosition { offset: 8, index: 1 };
        let cause = Cause::Record { topic: InputTopic::ProductUpdates, partition: 2, position };
        let input = Input { product_id: product.id.clone(), command: Command::Upsert(product), cause, at_ms: 1_732_500_000_000 };
        apply(&Rules::default(), None, &input).next.unwrap()
    }

    fn read(record: NewRecord) -> Record {
        let NewRecord { topic, partition, key, value, headers } = record;
        Record { topic, partition: partition.unwrap_or(0), offset: 4, append_time_ms: 77, key, value, headers }
    }

    fn written() -> NewRecord {
        let state = state();
        record(&state, 2, &Cause::File { index: 0 }, None)
    }

    #[test]
    fn a_state_comes_back_whole() {
        let written = written();
        assert_eq!(written.partition, Some(2));
        assert_eq!(written.headers.get_str(headers::CAUSE), Some("file/0"));
        insta::assert_snapshot!(written.headers.get_str(headers::STATE).unwrap(), @"1;8;1;1732500000000;1732500000000;1732503600000;-;8/1;-");
        assert_eq!(decode(&read(written), 1), Ok(Restored::Ours(state())));
    }

    #[test]
    fn a_state_that_is_written_again_is_the_same_state() {
        let again = again(&state(), 2, 31);
        assert_eq!((again.topic, again.partition, &again.key), (Topic::Products, Some(2), &written().key));
        assert_eq!(again.headers.get_str(headers::CAUSE), Some("products/2/31/0"));
        let record = read(again);
        assert_eq!(key_of(&record), Some(state().product.id));
        assert_eq!(decode(&record, 1), Ok(Restored::Ours(state())));
        assert_eq!(key_of(&Record { key: None, ..record }), None);
    }

    #[test]
    fn removed_foreign_and_unreadable_records_are_told_apart() {
        let left = Some(Revision { life: 8, version: 3 });
        let gone = tombstone(&state().product.id, left, 2, &Cause::File { index: 0 }, None);
        assert_eq!((&gone.value, gone.headers.get_str(headers::REVISION)), (&None, Some("8;3")));
        assert_eq!(decode(&read(gone.clone()), 1), Ok(Restored::Removed(state().product.id, left)));
        let foreign = Record { headers: Headers::none(), ..read(gone) };
        assert_eq!(decode(&foreign, 1), Ok(Restored::Removed(state().product.id, None)));

        let foreign = decode(&Record { headers: Headers::none(), ..read(written()) }, 10);
        let Ok(Restored::Foreign(foreign)) = foreign else { panic!("{foreign:?}") };
        assert_eq!((foreign.revision, foreign.last_heard_ms, foreign.stale_deadline_ms), (Revision::first_of(0), 77, 87));

        let mut newer = read(written());
        newer.headers.push(headers::STATE, "9;");
        assert_eq!(decode(&newer, 1), Err(Unreadable::State(StateHeaderError::Newer { format: 9 })));
        let misplaced = Record { key: Some(Bytes::from_static(b"POT")), ..read(written()) };
        assert!(matches!(decode(&misplaced, 1), Err(Unreadable::Product(Invalid::KeyMismatch { .. }))));
        assert!(decode(&Record { key: None, ..read(written()) }, 1).is_err());
        assert!(decode(&Record { value: Some(Bytes::from_static(b"{}")), ..read(written()) }, 1).is_err());
    }
}
