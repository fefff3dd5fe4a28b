//! The replication stream, and the only file that knows the crate that decodes it.
//!
//! [`WalStream`] is what the reader needs of it: connect, start at a position, whole transactions in commit order, acknowledge.
//! Nothing reconnects by itself: after any error the stream is dropped and the reader starts over from the stored position, as a
//! stream that heals itself sends again what was sent before, without a word.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pg_walstream::{
    CancellationToken, EventType, LogicalReplicationStream, PgReplicationConnection, ReplicationError, ReplicationSlotOptions,
    ReplicationStreamConfig, RetryConfig, RowData, SlotType,
};

use super::names::{APPLICATION, Xid};
use crate::domain::EpochMs;
use crate::wire::topics::cdc_position::Lsn;

/// A server that does not take a connection in this time is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The version of the protocol that needs no streaming of open transactions: they come whole, after their commit.
const PROTOCOL_VERSION: u32 = 1;
/// One attempt: the actor's supervisor decides when to try again.
const ONE_ATTEMPT: RetryConfig = RetryConfig {
    max_attempts: 1,
    initial_delay: Duration::from_millis(1),
    max_delay: Duration::from_millis(1),
    multiplier: 1.0,
    max_duration: CONNECT_TIMEOUT,
    jitter: false,
};

/// What the WAL contains, in order: transactions by their commit, rows as they were written within.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one event lives at a time; a box would cost an allocation per row")]
pub enum WalEvent {
    /// A committed transaction begins. Its commit's LSN orders it among all others; the time is the commit's.
    Begin { xid: Xid, commit_lsn: Lsn, committed_at_ms: EpochMs },
    /// A published row was inserted, or came into the publication.
    Insert { table: Arc<str>, row: WalRow },
    /// It ends; the next position to read from is `end_lsn`, never the commit's own.
    Commit { end_lsn: Lsn },
    /// An update, a new shape of a table, and whatever else is none of our business.
    Other,
}

/// One row, columns by name.
#[derive(Debug)]
pub struct WalRow(RowData);

/// A column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowValue<'a> {
    /// There is no column of that name.
    Absent,
    Null,
    Text(&'a str),
}

impl WalRow {
    /// The column of that name, as PostgreSQL writes it as text.
    #[must_use]
    pub fn cell(&self, column: &str) -> RowValue<'_> {
        match self.0.get(column) {
            None => RowValue::Absent,
            Some(value) => value.as_str().map_or(RowValue::Null, RowValue::Text),
        }
    }

    /// A row of these columns.
    #[cfg(test)]
    pub fn of(cells: &[(&str, Option<&str>)]) -> Self {
        let mut data = RowData::new();
        for (name, value) in cells {
            let text = |text: &str| pg_walstream::ColumnValue::Text(text.to_owned().into());
            data.push(Arc::from(*name), value.map_or(pg_walstream::ColumnValue::Null, text));
        }
        Self(data)
    }
}

/// Why there is no stream any more, or none yet.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Another reader has the slot.
    #[error("another reader has the replication slot")]
    SlotInUse,
    /// The server refused, or the connection is gone; its own words.
    #[error("the replication stream ended: {0}")]
    Ended(String),
}

impl From<ReplicationError> for StreamError {
    fn from(error: ReplicationError) -> Self {
        let text = error.to_string();
        // SQLSTATE object_in_use; the crate keeps it in the text only.
        if text.contains("55006") { Self::SlotInUse } else { Self::Ended(text) }
    }
}

/// A server and its history: positions mean nothing elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    pub system_id: String,
    pub timeline: u32,
}

/// What the reader needs of a replication stream.
pub trait WalStream: Send {
    /// Which server's WAL it is.
    fn identity(&self) -> ServerIdentity;

    /// Begins to stream from the slot, with the first transaction that commits at or after `at`. Never makes a slot.
    fn start(&mut self, at: Lsn) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// The next event. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<WalEvent, StreamError>> + Send;

    /// Every transaction that commits below it was delivered, if none is under way.
    fn received(&self) -> Lsn;

    /// The slot may forget what lies below; sent to the server with the next [`WalStream::report`].
    fn acknowledge(&mut self, to: Lsn);

    /// Sends the server a sign of life, and what is acknowledged.
    fn report(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;
}

/// A stream of PostgreSQL.
pub struct PgStream {
    stream: LogicalReplicationStream,
    never: CancellationToken,
}

impl PgStream {
    /// Connects, and asks the server for its identity. Streams nothing yet.
    ///
    /// # Errors
    /// [`StreamError::Ended`] with the server's words.
    pub async fn connect(url: &str, slot: &str, publication: &str) -> Result<Self, StreamError> {
        let config = ReplicationStreamConfig::builder(slot, publication)
            .with_protocol_version(PROTOCOL_VERSION)
            .with_connection_timeout(CONNECT_TIMEOUT)
            .with_retry_config(ONE_ATTEMPT)
            .with_existing_slot_required(true);
        let stream = LogicalReplicationStream::new(&replication_url(url), config).await?;
        Ok(Self { stream, never: CancellationToken::new() })
    }
}

impl WalStream for PgStream {
    fn identity(&self) -> ServerIdentity {
        let identity = self.stream.server_identity();
        ServerIdentity { system_id: identity.system_id().to_string(), timeline: identity.timeline() }
    }

    async fn start(&mut self, at: Lsn) -> Result<(), StreamError> {
        Ok(self.stream.start(Some(at.0)).await?)
    }

    async fn next(&mut self) -> Result<WalEvent, StreamError> {
        let event = self.stream.next_event(&self.never).await?;
        event_of(event.event_type)
    }

    fn received(&self) -> Lsn {
        Lsn(self.stream.current_lsn())
    }

    fn acknowledge(&mut self, to: Lsn) {
        self.stream.shared_lsn_feedback.update_applied_lsn(to.0);
    }

    async fn report(&mut self) -> Result<(), StreamError> {
        Ok(self.stream.send_feedback().await?)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the crate's kinds of events are many, and those we use are few")]
fn event_of(event: EventType) -> Result<WalEvent, StreamError> {
    Ok(match event {
        EventType::Begin { transaction_id: xid, final_lsn, commit_timestamp } => {
            WalEvent::Begin { xid, commit_lsn: Lsn(final_lsn.0), committed_at_ms: commit_timestamp.timestamp_millis() }
        }
        EventType::Insert { table, data, .. } => WalEvent::Insert { table, row: WalRow(data) },
        EventType::Commit { end_lsn, .. } => WalEvent::Commit { end_lsn: Lsn(end_lsn.0) },
        EventType::StreamStart { .. } | EventType::StreamCommit { .. } | EventType::BeginPrepare { .. } => {
            return Err(StreamError::Ended(
                "the server streams transactions before their commit, which was not requested".to_owned(),
            ));
        }
        _ => WalEvent::Other,
    })
}

/// A new slot, and the snapshot of the database at its first position.
pub struct NewSlot {
    /// Everything that commits at or after this comes through the slot; everything before is in the snapshot.
    pub starts_at: Lsn,
    pub identity: ServerIdentity,
    /// For `SET TRANSACTION SNAPSHOT`, as long as this value lives.
    pub snapshot: String,
    _connection: PgReplicationConnection,
}

impl NewSlot {
    /// Makes a slot that must not be there yet. Waits for the transactions that are open in the database.
    ///
    /// # Errors
    /// [`StreamError::Ended`] with the server's words.
    pub async fn create(url: &str, slot: &str) -> Result<Self, StreamError> {
        let mut connection = PgReplicationConnection::connect_async(&replication_url(url)).await?;
        let system = connection.identify_system_async().await?;
        let timeline = system.get_value(0, 1).and_then(|text| text.parse().ok());
        let (Some(system_id), Some(timeline)) = (system.get_value(0, 0), timeline) else {
            return Err(StreamError::Ended("the server does not identify itself".to_owned()));
        };
        let options = ReplicationSlotOptions { snapshot: Some("export".to_owned()), ..ReplicationSlotOptions::default() };
        let made =
            connection.create_replication_slot_with_options_async(slot, SlotType::Logical, Some("pgoutput"), &options).await?;
        if !made.is_ok() {
            return Err(StreamError::Ended(made.error_message().unwrap_or_else(|| "no slot was created".to_owned())));
        }
        let starts_at = made.get_value(0, 1).and_then(|text| Lsn::parse(&text));
        let (Some(starts_at), Some(snapshot)) = (starts_at, made.get_value(0, 2)) else {
            return Err(StreamError::Ended("the new slot has no snapshot".to_owned()));
        };
        Ok(Self { starts_at, identity: ServerIdentity { system_id, timeline }, snapshot, _connection: connection })
    }
}

/// The same database, through a connection that may replicate.
fn replication_url(url: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}replication=database&application_name={APPLICATION}&connect_timeout={}", CONNECT_TIMEOUT.as_secs())
}
