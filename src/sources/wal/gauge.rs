//! Asks PostgreSQL for the slot's state while this process's reader does not read: the figures must stay current even when the
//! reader stands still.
//!
//! It costs one connection and one question every [`EVERY`]; while the reader streams, nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::WalConfig;
use super::report::{Phase, ReportCell};
use super::server::{Facts, Server, ServerError};
use super::status::waiting_rows;

const EVERY: Duration = Duration::from_secs(4);

pub(super) async fn measure(config: WalConfig, report: Arc<ReportCell>, configured: bool) {
    let (mut is_ours, mut server) = (configured, None);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = report.now();
        is_ours |= now.phase != Phase::Stopped;
        if !is_ours || now.is_fresh(EVERY) {
            server = None;
            continue;
        }
        match measure_once(&config, &mut server).await {
            Ok((facts, oldest)) => report.measured(&facts, oldest),
            Err(error) => {
                tracing::debug!(%error, "the size of the slot cannot be read");
                server = None;
                report.unanswered();
            }
        }
    }
}

/// The slot, and the age of the oldest item that waits for a reader.
async fn measure_once(config: &WalConfig, connected: &mut Option<Server>) -> Result<(Facts, Duration), ServerError> {
    let server = match connected {
        Some(server) => server,
        none => none.insert(Server::connect(&config.url).await?),
    };
    let facts = server.facts(&config.slot).await?;
    let waits = facts.may_select == Some(true) && !facts.is_slot_active();
    let oldest_ms = if waits { waiting_rows(server).await?.oldest_ms } else { 0 };
    Ok((facts, Duration::from_millis(u64::try_from(oldest_ms).unwrap_or(0))))
}
