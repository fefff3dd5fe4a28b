//! From a record to what it means for the view. Records that bring nothing new are recognised before their text is read.

use std::sync::Arc;

use super::entry::{Removal, StateOrigin};
use super::history::Change;
use super::intake::StockChange;
use super::merge::{StockAndPrice, Trust};
use super::store::Catalog;
use crate::domain::ids::Stock;
use crate::domain::inventory::EventKind;
use crate::domain::product::Product;
use crate::domain::shown_ms;
use crate::log::Record;
use crate::wire::topics::Topic;
use crate::wire::topics::headers;
use crate::wire::topics::inventory_event::{self, EventType, InventoryFact};
use crate::wire::topics::output::trace_of;
use crate::wire::topics::product_record::{self, Restored};
use crate::wire::topics::state_header::StateHeader;

/// What a record means for the view.
#[derive(Debug)]
pub enum DecodedRecord {
    Whole {
        product: Box<Product>,
        origin: StateOrigin,
    },
    Removed {
        id: String,
        gone: Removal,
    },
    Event(StockChange),
    /// Nothing new; if an id is given, that product exists.
    Nothing {
        id: Option<String>,
    },
}

/// Reads a record of `products` or `inventory-events`; what cannot be read is counted and logged.
pub fn decode(catalog: &Catalog, record: &Record, trust: Trust) -> DecodedRecord {
    let decoded = if record.topic == Topic::Products { whole(catalog, record, trust) } else { event(record) };
    decoded.unwrap_or_else(|reason| {
        catalog.count_unreadable();
        tracing::warn!(
            messaging.destination.name = %record.topic,
            messaging.destination.partition.id = record.partition,
            messaging.kafka.offset = record.offset,
            reason,
            "a record of the catalogue cannot be read and is skipped"
        );
        DecodedRecord::Nothing { id: None }
    })
}

fn whole(catalog: &Catalog, record: &Record, trust: Trust) -> Result<DecodedRecord, String> {
    if record.value.is_some()
        && let Some(id) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())
        && let Some(header) = record.headers.get_str(headers::STATE)
        && let Ok(header) = StateHeader::decode(header)
        && !catalog.wants(id, &origin(record, &header), trust)
    {
        return Ok(DecodedRecord::Nothing { id: Some(id.to_owned()) });
    }
    // No deadline is needed here, so none is computed.
    match product_record::decode(record, 0).map_err(|error| error.to_string())? {
        Restored::Removed(id, revision) => {
            let gone = Removal { revision, source_offset: record.offset, at_ms: record.append_time_ms };
            Ok(DecodedRecord::Removed { id: id.as_str().to_owned(), gone })
        }
        Restored::Ours(state) | Restored::Foreign(state) => {
            let origin =
                StateOrigin { revision: state.revision, changed_at_ms: state.changed_at_ms, source_offset: record.offset };
            Ok(DecodedRecord::Whole { product: Box::new(state.product), origin })
        }
    }
}

fn origin(record: &Record, header: &StateHeader) -> StateOrigin {
    StateOrigin { revision: header.revision, changed_at_ms: header.changed_at_ms, source_offset: record.offset }
}

fn event(record: &Record) -> Result<DecodedRecord, String> {
    let value = record.value.as_deref().ok_or("it has no value")?;
    let fact = inventory_event::decode(value).map_err(|error| error.to_string())?;
    let (Some(kind), Some(revision), Some(stock)) = (change_kind(&fact), fact.revision, fact.current_stock) else {
        return Ok(DecodedRecord::Nothing { id: None });
    };
    let stock_and_price = StockAndPrice {
        revision,
        stock,
        price: fact.current_price,
        at_ms: fact.timestamp_ms,
        dropped_from: fact.previous_price.filter(|from| fact.current_price.is_some_and(|to| to < *from)),
        last: kind == EventKind::ProductRemoved,
    };
    let change = Change {
        kind,
        previous_stock: fact.previous_stock,
        current_stock: stock.units(),
        previous_price: fact.previous_price,
        current_price: fact.current_price,
        order_id: fact.order.map(|order| order.order_id),
        revision,
        at_ms: shown_ms(fact.timestamp_ms),
    };
    let trace = trace_of(&record.headers);
    Ok(DecodedRecord::Event(StockChange {
        id: fact.product_id,
        stock_and_price,
        change: Arc::new(change),
        trace,
        offset: record.offset,
        is_news: true,
    }))
}

/// The kind of an event that is a step of its product's revision; `None` for answers, reminders and unknown types.
fn change_kind(fact: &InventoryFact) -> Option<EventKind> {
    let EventType::Known(kind) = fact.event_type else { return None };
    match kind {
        EventKind::StaleInventory | EventKind::OrderRejected | EventKind::OrderExpired => None,
        // An order that got no units changes nothing.
        EventKind::OutOfStock if fact.previous_stock == Some(Stock::NONE.units()) => None,
        EventKind::ProductAdded
        | EventKind::ProductUpdated
        | EventKind::ProductRemoved
        | EventKind::InventoryIncreased
        | EventKind::InventoryDecreased
        | EventKind::OutOfStock
        | EventKind::BackInStock
        | EventKind::PriceChanged => Some(kind),
    }
}
