//! The reader at work: events in, one commit at a time out, feedback to the server at fixed intervals.
//!
//! A commit begins as soon as a whole transaction has arrived and the previous commit is done; what arrives meanwhile makes the
//! next one. It waits until all sessions see the rows (`visible`). So batches are small when it is quiet and large when it is
//! not. A transaction larger than a batch is published in parts.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::new_slot::Steps;
use super::position::DurablePosition;
use super::run_end::End;
use super::server::Server;
use super::stream::WalStream;
use super::transactions::{Flush, Transactions};
use super::{ReadError, Step, WalContext};
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::log::Session;
use crate::telemetry::promises::Promise;
use crate::wire::topics::cdc_position::{CdcPosition, Lsn};

/// Feedback is sent at fixed intervals: the server closes a silent connection, and a slot must not hold back WAL for long. It
/// acknowledges what the log shows by then.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// What a commit made durable.
struct Durable {
    rows: usize,
    position: CdcPosition,
    newest_commit_ms: EpochMs,
}

type Committing<'a> = Pin<Box<dyn Future<Output = Result<Durable, ReadError>> + Send + 'a>>;

/// Publishes what the stream brings, until something fails.
pub(super) async fn pump<S: WalStream>(
    context: &WalContext,
    stream: &mut S,
    session: &dyn Session,
    server: Server,
    position: CdcPosition,
) -> Result<Infallible, End> {
    let config = &context.config;
    let mut stored = position.resume_lsn;
    let mut transactions = Transactions::new(position);
    // Asks which rows other sessions see. A connection of its own: `server` is busy with inspections.
    let witness = Mutex::new(Server::connect(&config.url).await?);
    // What PostgreSQL is sent as acknowledged: what a reader of the log sees, as an answered commit may be lost with a broker.
    let mut shown = DurablePosition::follow(&*context.log, &config.slot).await?;
    let mut inspection = pin!(inspect(context, server));
    let mut tick = interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut committing: Option<Committing<'_>> = None;
    let mut last_commit = Instant::now();
    loop {
        let mut is_idle_due = false;
        tokio::select! {
            biased;
            done = settled(&mut committing) => {
                committing = None;
                let done = done?;
                stored = done.position.resume_lsn;
                last_commit = Instant::now();
                context.report.stored(&done.position);
                context.report.published(done.rows, Some(done.newest_commit_ms));
            }
            end = &mut inspection => return Err(end),
            _ = tick.tick() => {
                if let Some(position) = shown.latest().await? {
                    acknowledge(stream, position.resume_lsn, position.resume_lsn);
                }
                stream.report().await?;
                if transactions.is_idle() && committing.is_none() {
                    context.report.delivered(stream.received());
                    is_idle_due = last_commit.elapsed() >= config.idle_interval && stream.received() > stored;
                }
            }
            event = stream.next(), if transactions.waiting() < config.batch_max_rows => transactions.push(&event?)?,
        }
        if is_idle_due {
            transactions.skip_to(stream.received());
        }
        let waiting = transactions.waiting();
        let is_due = waiting >= config.batch_max_rows || waiting > 0 && transactions.is_between();
        if committing.is_none() && (is_due || is_idle_due) {
            let flush = transactions.take();
            if bugs::is(Bug::WalAcknowledgedEarly) {
                acknowledge(stream, flush.position.resume_lsn, stored);
            }
            committing = Some(Box::pin(commit(context, session, &witness, flush)));
        }
    }
}

/// Everything below `durable` is on the log.
fn acknowledge(stream: &mut impl WalStream, to: Lsn, durable: Lsn) {
    Promise::WalAcknowledgedAfterCommit.broken(u64::from(to > durable));
    stream.acknowledge(to);
}

/// The result of the commit under way; pending for ever if there is none.
async fn settled(committing: &mut Option<Committing<'_>>) -> Result<Durable, ReadError> {
    match committing {
        Some(commit) => commit.await,
        None => pending().await,
    }
}

async fn commit(
    context: &WalContext,
    session: &dyn Session,
    witness: &Mutex<Server>,
    mut flush: Flush,
) -> Result<Durable, ReadError> {
    let mut spans = std::mem::take(&mut flush.spans);
    let durable =
        Durable { rows: flush.records.len(), position: flush.position.clone(), newest_commit_ms: flush.newest_commit_ms };
    witness.lock().await.await_visible(&flush.xids).await?;
    context.at(Step::Committing).await?;
    let committed = session.commit(flush.batch(&context.config.slot)).await;
    if let Err(error) = &committed {
        spans.iter_mut().for_each(|span| span.fail(error.kind()));
    }
    drop(spans);
    committed?;
    context.at(Step::Committed).await?;
    Ok(durable)
}

/// Checks slot and publication while the stream runs; ends when something is wrong with them.
async fn inspect(context: &WalContext, mut server: Server) -> End {
    let mut tick = interval(context.config.look_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let facts = match server.facts(&context.config.slot).await {
            Ok(facts) => facts,
            Err(error) => return error.into(),
        };
        if let Err(alarm) = facts.check_database().and_then(|()| facts.check_slot(&context.config.slot)) {
            return alarm.into();
        }
        context.report.measured(&facts, Duration::ZERO);
    }
}
