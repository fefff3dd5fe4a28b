//! One run of the reader: wait for the slot, inspect, fence, check, stream. An error ends it; the actor's supervisor starts the
//! next.
//!
//! ```text
//!  slot free? ─► inspect ─► fence ─► stored position ─► checks ─► stream ─► rows + position, one commit ─► acknowledge ─┐
//!     ▲ in use     │ alarm: inspect again               │ none: new slot       ▲                                     │
//!     └────────────┴────────────────────────────────────┘                      └─────────────────────────────────────┘
//! ```
//! Inspecting comes before fencing, so that a reader that would only raise an alarm does not disturb a repair of the slot.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::alarm::Alarm;
use super::new_slot::{self, NAME_BLOCKERS_AFTER, Steps};
use super::position::{self, StoredError};
use super::pump::pump;
use super::report::Phase;
use super::run_end::End;
use super::server::{Facts, PUBLICATION, Server, ServerError};
use super::stream::{PgStream, WalStream};
use super::{ReadError, Step, WalContext};
#[cfg(feature = "seeded-bugs")]
use crate::bugs::{self, Bug};
use crate::clock::Backoff;
use crate::log::cdc_position::{Stored, gap_record};
use crate::log::{LogError, Session, SessionConfig};
use crate::wire::topics::Topic;
use crate::wire::topics::cdc_position::CdcPosition;

/// First and longest wait for a slot that is in use: by a predecessor in its last moments, or by a running reader.
const SLOT_WAIT_MIN: Duration = Duration::from_millis(5);
const SLOT_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long reading the stored position may take before the fencing. It is read again afterwards.
const INSPECT_PATIENCE: Duration = Duration::from_secs(1);
/// What a reader reports while its tables do not exist yet.
const MIGRATING: &str = "the database's tables are being migrated";
/// How long the log may take to remember an alarm.
const REMEMBER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads until something fails. Alarms are shown and waited out in here.
pub(super) async fn run(context: &WalContext) -> ReadError {
    let mut raised = None;
    loop {
        match run_once(context).await {
            Ok(never) => match never {},
            Err(End::SlotInUse) => {}
            Err(End::Failed(error)) => return error,
            Err(End::Alarm(alarm)) if alarm.is_of_tables() && context.is_migrating() => {
                context.report.phase(Phase::Starting { error: Some(MIGRATING.to_owned()) });
                tokio::time::sleep(context.config.look_every).await;
            }
            Err(End::Alarm(alarm)) => {
                context.report.raise(&alarm);
                if raised.as_ref() != Some(&alarm) {
                    if let Err(error) = remember_gap(context, &alarm).await {
                        return error.into();
                    }
                    raised = Some(alarm);
                }
                tokio::time::sleep(context.config.look_every).await;
            }
        }
    }
}

async fn run_once(context: &WalContext) -> Result<Infallible, End> {
    let (config, log) = (&context.config, &*context.log);
    let mut server = Server::connect(&config.url).await?;
    let facts = slot_free(context, &mut server).await?;
    // A commit that a dead predecessor left open would be waited for until the log gives it up: then only to fence it helps.
    match tokio::time::timeout(INSPECT_PATIENCE, position::read(log, &config.slot)).await {
        Ok(stored) => inspect(context, &facts, &stored?)?,
        Err(_) => facts.check_database()?,
    }
    context.at(Step::Looked).await?;
    let session = log.session(session_config(&config.slot)).await?;
    context.at(Step::Fenced).await?;
    let stored = position::read(log, &config.slot).await?;
    let facts = server.facts(&config.slot).await?;
    if facts.is_slot_active() {
        return Err(End::SlotInUse);
    }
    inspect(context, &facts, &stored)?;
    let position = match stored.position {
        #[cfg(feature = "seeded-bugs")]
        Some(position) if bugs::is(Bug::WalResumesAtSlot) => super::seeded::position_of_slot(&facts, position),
        Some(position) => position,
        None => first_start(context, &*session, &mut server).await?,
    };
    let mut stream = PgStream::connect(&config.url, &config.slot, PUBLICATION).await?;
    position::check_identity(&position, &stream.identity())?;
    let facts = server.facts(&config.slot).await?;
    facts.check_slot(&config.slot)?;
    position::check(&position, &facts, &config.slot)?;
    context.at(Step::Checked).await?;
    stream.start(position.resume_lsn).await?;
    context.report.streaming(&position);
    context.at(Step::Streaming).await?;
    pump(context, &mut stream, &*session, server, position).await
}

/// The identity that writes as the reader of a slot: the same in every process, so that the newest fences all others.
#[must_use]
pub(super) fn session_config(slot: &str) -> SessionConfig {
    let writes = vec![Topic::OrderEvents, Topic::CdcPositions];
    SessionConfig { identity: format!("cdc-{slot}"), group: None, topics: Vec::new(), writes }
}

/// Waits until no reader has the slot.
async fn slot_free(context: &WalContext, server: &mut Server) -> Result<Facts, End> {
    let (mut backoff, mut making) = (Backoff::new(SLOT_WAIT_MIN, SLOT_WAIT_MAX), None);
    loop {
        let facts = server.facts(&context.config.slot).await?;
        if !facts.is_slot_active() {
            return Ok(facts);
        }
        facts.check_ours(&context.config.slot)?;
        match facts.maker() {
            Some(pid) => await_maker(context, server, pid, &mut making).await?,
            None => context.report.waiting(facts.slot_pid),
        }
        backoff.wait().await;
    }
}

/// A PostgreSQL backend is creating the slot. If its reader is gone, the backend is ended. If its reader runs, both wait for
/// other transactions, which is not a standby. A reader of an earlier version does not show that it runs, so it gets some
/// seconds.
async fn await_maker(
    context: &WalContext,
    server: &mut Server,
    pid: i32,
    making: &mut Option<(i32, Instant)>,
) -> Result<(), ServerError> {
    let (_, since) = *making.get_or_insert((pid, Instant::now()));
    if making.is_some_and(|(known, _)| known != pid) {
        *making = None;
    } else if since.elapsed() < NAME_BLOCKERS_AFTER {
        context.report.phase(Phase::FirstStart);
    } else if !server.end_orphan(&context.config.slot, pid).await? {
        context.report.raise(&server.slot_waits(&context.config.slot).await?);
    }
    Ok(())
}

/// Whether reading can start, as far as SQL and the log can tell.
fn inspect(context: &WalContext, facts: &Facts, stored: &Stored) -> Result<(), Alarm> {
    facts.check_database()?;
    if let Some(reason) = &stored.gap {
        return Err(Alarm::NotRepaired { reason: reason.clone() });
    }
    let slot = &context.config.slot;
    // Without a position a new slot is made: a slot of another program must not be dropped for that.
    let Some(position) = &stored.position else { return facts.check_ours(slot) };
    facts.check_slot(slot)?;
    position::check(position, facts, slot)
}

async fn first_start(context: &WalContext, session: &dyn Session, server: &mut Server) -> Result<CdcPosition, End> {
    context.report.phase(Phase::FirstStart);
    let begun = new_slot::begin(&context.config, &*context.log, session, server, context).await?;
    let (slot, published) = (&context.config.slot, begun.published);
    tracing::info!(kartshoppe.pg.lsn = %begun.position.resume_lsn, slot, published, "the WAL reader starts with a new slot");
    context.report.published(published, None);
    Ok(begun.position)
}

/// While such an alarm held, rows may have passed by: that must outlive this process, as the alarm itself may be gone when the
/// next one looks. A slot that was never read has no rows to miss.
async fn remember_gap(context: &WalContext, alarm: &Alarm) -> Result<(), LogError> {
    if !alarm.leaves_gap() {
        return Ok(());
    }
    let slot = &context.config.slot;
    match position::read(&*context.log, slot).await {
        Ok(Stored { position: None, .. } | Stored { gap: Some(_), .. }) | Err(StoredError::Alarm(_)) => Ok(()),
        Ok(Stored { .. }) => {
            context.log.append(vec![gap_record(slot, Some(alarm.to_string()))], REMEMBER_TIMEOUT).await?;
            Ok(())
        }
        Err(StoredError::Log(error)) => Err(error),
    }
}
