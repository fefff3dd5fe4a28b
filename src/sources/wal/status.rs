//! What operators ask about the slot: how it stands, how far it is behind, and what to do.

use serde::Serialize;
use sqlx::FromRow;

use super::alarm::Alarm;
use super::position;
use super::server::{Facts, Server, ServerError, in_time};
use super::{ReadError, WalConfig};
use crate::log::EventLog;
use crate::log::cdc_position::Stored;
use crate::wire::topics::cdc_position::CdcPosition;

/// A slot without a reader that PostgreSQL gives up after less WAL than this is reported: some minutes of a busy shop.
const SAFE_ENOUGH_BYTES: i64 = 1 << 30;

/// The slot as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    pub slot: String,
    pub database: String,
    pub exists: bool,
    /// The server's process that feeds a reader, if one reads.
    pub reader_pid: Option<i32>,
    /// The server's process that makes the slot, which has no reader yet.
    pub maker_pid: Option<i32>,
    pub wal_status: Option<String>,
    /// The stored position, if there is one and the log could be read.
    pub position: Option<CdcPosition>,
    /// Why the log could not be read.
    pub position_unknown: Option<String>,
    /// WAL that was written and is not acknowledged, in bytes.
    pub lag_bytes: Option<u64>,
    /// Age of the oldest item that waits for the reader, in milliseconds; 0 if none does.
    pub lag_ms: i64,
    /// Items of the reader that have no outcome.
    pub waiting_items: i64,
    /// WAL that the slot makes PostgreSQL keep, in bytes.
    pub retained_bytes: Option<u64>,
    /// WAL that may still be written before PostgreSQL gives the slot up, in bytes; `None`: no limit.
    pub safe_bytes: Option<i64>,
    /// What keeps the reader from reading, and what to do.
    pub alarm: Option<String>,
    /// What else is to be done.
    pub advice: Option<String>,
}

#[derive(Debug, FromRow)]
pub(super) struct WaitingRows {
    pub items: i64,
    pub oldest_ms: i64,
}

/// Queries the slot; where the log cannot be read, `log` says why.
///
/// # Errors
/// [`ReadError`] if PostgreSQL or the log cannot be asked. What is wrong with the slot is no error.
pub async fn status(config: &WalConfig, log: Result<&dyn EventLog, String>) -> Result<SlotStatus, ReadError> {
    let mut server = Server::connect(&config.url).await?;
    let facts = server.facts(&config.slot).await?;
    let (stored, position_unknown) = match log {
        Ok(log) => (position::read(log, &config.slot).await?, None),
        Err(reason) => (Stored::default(), Some(reason)),
    };
    let waiting = match facts.may_select {
        Some(true) => waiting_rows(&mut server).await?,
        Some(false) | None => WaitingRows { items: 0, oldest_ms: 0 },
    };
    let blockers = if facts.maker().is_some() { server.blockers(&config.slot).await? } else { Vec::new() };
    let alarm = if blockers.is_empty() {
        alarm_of(config, &facts, &stored)
    } else {
        Some(Alarm::SlotWaits { slot: config.slot.clone(), by: blockers.join(", ") })
    };
    Ok(SlotStatus {
        slot: config.slot.clone(),
        database: facts.database.clone(),
        exists: facts.has_slot(),
        reader_pid: facts.slot_pid.filter(|_| facts.maker().is_none()),
        maker_pid: facts.maker(),
        wal_status: facts.slot_status.clone(),
        lag_bytes: facts.confirmed().map(|confirmed| facts.flushed().0.saturating_sub(confirmed.0)),
        lag_ms: waiting.oldest_ms,
        waiting_items: waiting.items,
        retained_bytes: facts.retained_bytes(),
        safe_bytes: facts.safe_bytes,
        advice: if alarm.is_some() { None } else { advice(&facts, &waiting) },
        alarm: alarm.map(|alarm| alarm.to_string()),
        position: stored.position,
        position_unknown,
    })
}

fn alarm_of(config: &WalConfig, facts: &Facts, stored: &Stored) -> Option<Alarm> {
    let check = || {
        facts.check_database()?;
        if let Some(reason) = &stored.gap {
            return Err(Alarm::NotRepaired { reason: reason.clone() });
        }
        let Some(position) = &stored.position else { return facts.check_ours(&config.slot) };
        facts.check_slot(&config.slot)?;
        position::check(position, facts, &config.slot)
    };
    check().err()
}

fn advice(facts: &Facts, waiting: &WaitingRows) -> Option<String> {
    const START: &str = "start `kartshoppe serve` with the role cdc";
    match (facts.has_slot(), facts.is_slot_active()) {
        (true, true) => None,
        (false, _) => Some(format!("{START}: it creates the slot and publishes the items that wait for it")),
        (true, false) if waiting.items > 0 => Some(format!("{START}: {} items wait for it", waiting.items)),
        (true, false) => facts.safe_bytes.filter(|left| *left < SAFE_ENOUGH_BYTES).map(|left| {
            format!(
                "{START} before PostgreSQL has written {left} more bytes: after that it drops the slot's WAL, and a repair \
                     is needed"
            )
        }),
    }
}

/// The items that wait for the reader.
pub(super) async fn waiting_rows(server: &mut Server) -> Result<WaitingRows, ServerError> {
    let question = "SELECT count(*) AS items,
                           coalesce(greatest(extract(epoch FROM clock_timestamp() - min(inserted_at) FILTER (WHERE isfinite(inserted_at))) * 1000, 0), 0)::bigint AS oldest_ms
                    FROM order_items WHERE publish_via = 'wal' AND outcome IS NULL";
    in_time("count the waiting items", sqlx::query_as(question).fetch_one(&mut server.connection)).await
}
