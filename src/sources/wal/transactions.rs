//! From WAL events to records of `order-events`, with the position that they move to. Pure.
//!
//! The position is (commit LSN, index of the row in its transaction). Only commits are ordered across transactions, and rows of
//! one COPY share an LSN, so nothing else would do. Decoding a transaction again gives its rows in the same order.

use bytes::Bytes;
use opentelemetry::trace::SpanKind;

use super::names::{TABLE, Xid};
use super::stream::{RowValue, WalEvent, WalRow};
use crate::config::RoleName;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Quantity};
use crate::log::{Batch, NewRecord, Positions};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::{attribute, span};
use crate::telemetry::sampling::Root;
use crate::telemetry::spans::Span;
use crate::wire::topics::Topic;
use crate::wire::topics::cdc_position::{CdcPosition, Lsn};
use crate::wire::topics::order_event::{OrderEvent, OrderSource, Wish};
use crate::wire::topics::output;
use crate::wire::topics::record::Headers;

/// Why the stream cannot be what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Rows or commits outside a transaction, or one within another.
    #[error("the stream has {0}, which the protocol does not allow there")]
    Order(&'static str),
    /// The row lacks what an order item needs.
    #[error("a published row has no column {0}")]
    Column(&'static str),
    /// A transaction that is published in part did not come again.
    #[error("the rest of the transaction that commits at {0} was not sent")]
    PartMissing(Lsn),
}

/// One order item, as a row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedItem<'a> {
    pub order_item_id: &'a str,
    pub order_id: &'a str,
    pub product_id: &'a str,
    pub quantity: i64,
    pub traceparent: Option<&'a str>,
    pub tracestate: Option<&'a str>,
}

/// What has come and is not yet handed to the log.
#[derive(Debug)]
pub struct Transactions {
    /// Where everything up to the last event is covered.
    position: CdcPosition,
    open: Option<OpenTransaction>,
    records: Vec<NewRecord>,
    /// The transactions of the rows.
    xids: Vec<Xid>,
    spans: Vec<Span>,
    newest_commit_ms: EpochMs,
}

#[derive(Debug)]
struct OpenTransaction {
    xid: Xid,
    commit_lsn: Lsn,
    committed_at_ms: EpochMs,
    rows: u64,
    /// Rows up to this one are on the log already.
    published: u64,
}

/// What one commit of the log holds.
#[derive(Debug)]
pub struct Flush {
    pub records: Vec<NewRecord>,
    /// The transactions that wrote the rows.
    pub xids: Vec<Xid>,
    pub position: CdcPosition,
    /// When the newest of it was committed in the database.
    pub newest_commit_ms: EpochMs,
    /// Of the rows whose trace is sampled: they last until the records are committed.
    pub spans: Vec<Span>,
}

impl Flush {
    /// The batch that publishes it.
    #[must_use]
    pub fn batch(self, slot: &str) -> Batch {
        let mut records = self.records;
        records.push(self.position.record(slot));
        Batch { records, positions: Positions::new() }
    }
}

impl Transactions {
    /// Goes on from a stored position.
    #[must_use]
    pub fn new(position: CdcPosition) -> Self {
        Self { position, open: None, records: Vec::new(), xids: Vec::new(), spans: Vec::new(), newest_commit_ms: 0 }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`ProtocolError`]: nothing after it may be used.
    pub fn push(&mut self, event: &WalEvent) -> Result<(), ProtocolError> {
        match event {
            WalEvent::Begin { xid, commit_lsn, committed_at_ms } => self.begin(*xid, *commit_lsn, *committed_at_ms),
            WalEvent::Insert { table, row } if &**table == TABLE => self.insert(row),
            WalEvent::Commit { end_lsn } => self.commit(*end_lsn),
            WalEvent::Insert { .. } | WalEvent::Other => Ok(()),
        }
    }

    /// Records that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.records.len()
    }

    /// Whether no transaction is half read.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Whether nothing came that is not handed over.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.records.is_empty()
    }

    /// Everything below is delivered: for a table on which nothing happens while the WAL grows.
    pub fn skip_to(&mut self, received: Lsn) {
        if self.is_idle() && self.position.part_commit_lsn.is_none() {
            self.position.resume_lsn = self.position.resume_lsn.max(received);
        }
    }

    /// What has come so far, also of a transaction that is still being read.
    pub fn take(&mut self) -> Flush {
        let mut position = self.position.clone();
        if let Some(open) = self.open.as_ref().filter(|open| open.rows > 0 && open.commit_lsn >= position.resume_lsn) {
            position.part_commit_lsn = Some(open.commit_lsn);
            position.part_index = open.rows.max(open.published);
        }
        let (records, spans) = (std::mem::take(&mut self.records), std::mem::take(&mut self.spans));
        Flush { records, xids: std::mem::take(&mut self.xids), position, newest_commit_ms: self.newest_commit_ms, spans }
    }

    fn begin(&mut self, xid: Xid, commit_lsn: Lsn, committed_at_ms: EpochMs) -> Result<(), ProtocolError> {
        if self.open.is_some() {
            return Err(ProtocolError::Order("a transaction within another"));
        }
        let published = match self.position.part_commit_lsn {
            _ if commit_lsn < self.position.resume_lsn => u64::MAX,
            Some(part) if part == commit_lsn => self.position.part_index,
            Some(part) if part < commit_lsn => return Err(ProtocolError::PartMissing(part)),
            Some(_) | None => 0,
        };
        self.open = Some(OpenTransaction { xid, commit_lsn, committed_at_ms, rows: 0, published });
        Ok(())
    }

    fn insert(&mut self, row: &WalRow) -> Result<(), ProtocolError> {
        let open = self.open.as_mut().ok_or(ProtocolError::Order("a row outside a transaction"))?;
        open.rows += 1;
        if open.rows > open.published {
            let (record, span) = record(&item(row)?, open.committed_at_ms, open.commit_lsn);
            self.records.push(record);
            if self.xids.last() != Some(&open.xid) {
                self.xids.push(open.xid);
            }
            self.spans.extend(span);
            self.newest_commit_ms = open.committed_at_ms;
        }
        Ok(())
    }

    fn commit(&mut self, end_lsn: Lsn) -> Result<(), ProtocolError> {
        let open = self.open.take().ok_or(ProtocolError::Order("a commit outside a transaction"))?;
        if let Some(part) = self.position.part_commit_lsn.filter(|part| *part == open.commit_lsn) {
            if open.rows < open.published {
                return Err(ProtocolError::PartMissing(part));
            }
            (self.position.part_commit_lsn, self.position.part_index) = (None, 0);
        }
        self.position.resume_lsn = self.position.resume_lsn.max(end_lsn);
        Ok(())
    }
}

fn item(row: &WalRow) -> Result<PublishedItem<'_>, ProtocolError> {
    // An empty value that was inserted by hand is for the inventory to refuse; a column that is gone is for an operator.
    let text = |column| match row.cell(column) {
        RowValue::Text(text) => Ok(text),
        RowValue::Null => Ok(""),
        RowValue::Absent => Err(ProtocolError::Column(column)),
    };
    let quantity = match text("quantity")? {
        "" => 0,
        digits => digits.parse().map_err(|_| ProtocolError::Column("quantity"))?,
    };
    let optional = |column| match row.cell(column) {
        RowValue::Text(text) => Some(text),
        RowValue::Null | RowValue::Absent => None,
    };
    Ok(PublishedItem {
        order_item_id: text("order_item_id")?,
        order_id: text("order_id")?,
        product_id: text("product_id")?,
        quantity,
        traceparent: optional("traceparent"),
        tracestate: optional("tracestate"),
    })
}

/// The record that publishes a row. An item that KartShoppe would not have written is published all the same: whether it can be
/// used is for the inventory to say, which answers it with a dead letter and a rejection. With it comes the span of the row,
/// where its trace is sampled: it is to last until the record is committed.
#[must_use]
pub fn record(item: &PublishedItem<'_>, committed_at_ms: EpochMs, read_at: Lsn) -> (NewRecord, Option<Span>) {
    let parent = TraceContext::of(item.traceparent, item.tracestate);
    let span = publish_span(item, parent.as_ref(), read_at);
    let trace = span.below(parent);
    let record = event(item, committed_at_ms)
        .map_or_else(|| raw_record(item, committed_at_ms, trace.as_ref()), |event| event.record(trace.as_ref()));
    (record, span.some())
}

/// A row that was inserted by hand begins a trace here, as an order.
fn publish_span(item: &PublishedItem<'_>, parent: Option<&TraceContext>, read_at: Lsn) -> Span {
    let span = match parent {
        None => Span::of_root(RoleName::Cdc, SpanKind::Producer, span::ORDER_SEND, Root::Few),
        parent => Span::child(RoleName::Cdc, SpanKind::Producer, span::ORDER_SEND, parent),
    };
    if span.is_none() {
        return span;
    }
    span.messaging("send", "send", Topic::OrderEvents.name())
        .with(attribute::ORDER_ID, item.order_id.to_owned())
        .with(attribute::PG_LSN, read_at.to_string())
}

fn event(item: &PublishedItem<'_>, committed_at_ms: EpochMs) -> Option<OrderEvent> {
    Some(OrderEvent {
        order_id: OrderId::new(item.order_id).ok()?,
        product_id: ProductId::new(item.product_id).ok()?,
        wish: Wish::Units(Quantity::new(item.quantity).ok()?),
        timestamp_ms: Some(committed_at_ms),
        order_item_id: Some(OrderItemId::new(item.order_item_id).ok()?),
        source: Some(OrderSource::Wal),
        expires_at_ms: None,
    })
}

fn raw_record(item: &PublishedItem<'_>, committed_at_ms: EpochMs, trace: Option<&TraceContext>) -> NewRecord {
    let value = serde_json::json!({
        "orderId": item.order_id, "productId": item.product_id, "quantity": item.quantity, "timestamp": committed_at_ms,
        "orderItemId": item.order_item_id, "source": OrderSource::Wal.as_str(),
    });
    let mut headers = Headers::none();
    output::push_trace(&mut headers, trace);
    let key = Some(item.product_id).filter(|id| !id.is_empty()).map(|id| Bytes::copy_from_slice(id.as_bytes()));
    NewRecord { topic: Topic::OrderEvents, partition: None, key, value: Some(value.to_string().into()), headers }
}

#[cfg(test)]
mod tests;
