//! The signals by which a user, a terminal or a service manager asks a command to stop.
//!
//! They are handled in a thread with its own runtime: if every worker of the main runtime is blocked, for example in a write to a
//! log pipe that is not read, the first signal may have no effect, but the second still ends the process.

use std::fs;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::store::private_server;

/// How long a private PostgreSQL may take to end after the second signal.
const DATABASE_ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Limit for everything that runs at process exit, such as a last write to a full pipe.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// SIGTERM, SIGINT, SIGQUIT, and SIGHUP unless it is ignored (as by `nohup`).
#[derive(Debug, Clone)]
pub struct StopSignals {
    requested: CancellationToken,
}

/// The effect of the second signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// Ends the process at once, with its private PostgreSQL and the usual exit code: 128 plus the signal's number.
    Ends,
    /// None: the command has children that it must end itself.
    IsIgnored,
}

impl StopSignals {
    /// Replaces the default handlers: from now on no signal ends the process by itself.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen(second: Second) -> anyhow::Result<Self> {
        let requested = CancellationToken::new();
        let (report, listening) = mpsc::channel();
        let tell = requested.clone();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            match runtime.context("starting the runtime of the signals") {
                Ok(runtime) => runtime.block_on(take_signals(&tell, second, &report)),
                Err(error) => drop(report.send(Err(error))),
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).context("starting the thread of the signals")?;
        listening.recv().context("listening for signals")??;
        Ok(Self { requested })
    }

    /// Whether the first signal has arrived.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits for the first signal.
    pub async fn wait(&self) {
        self.requested.cancelled().await;
    }

    /// Runs `work`; returns `None` if the first signal arrives before it is done, which drops it.
    ///
    /// # Errors
    /// Those of the work.
    pub fn unless_requested<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> impl Future<Output = anyhow::Result<Option<T>>> {
        // Boxed: the future of a whole start is too large for the waiting task's stack.
        let work = Box::pin(work);
        async move { self.requested.run_until_cancelled(work).await.transpose() }
    }
}

async fn take_signals(tell: &CancellationToken, second: Second, report: &mpsc::Sender<anyhow::Result<()>>) {
    let (sender, mut signals) = channel(1);
    let started = listen_to_all(&sender).context("listening for signals");
    let listens = started.is_ok();
    let _ = report.send(started);
    if !listens || signals.recv().await.is_none() {
        return;
    }
    tell.cancel();
    match second {
        Second::Ends => {
            if let Some(signal) = signals.recv().await {
                end_at_once(signal);
            }
        }
        Second::IsIgnored => ignore(signals).await,
    }
}

async fn ignore(mut signals: Receiver<SignalKind>) {
    while signals.recv().await.is_some() {}
}

fn listen_to_all(sender: &Sender<SignalKind>) -> std::io::Result<()> {
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
    if !is_ignored(Signal::HUP) {
        kinds.push(SignalKind::hangup());
    }
    for kind in kinds {
        let (mut arrived, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while arrived.recv().await.is_some() && sender.send(kind).await.is_ok() {} });
    }
    Ok(())
}

/// Whether this process was started with the signal ignored. If the system does not show it in `/proc`, it counts as ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Takes no lock and writes nothing: whatever delays an orderly end may block these too.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, where no clock is paused")]
#[expect(clippy::exit, reason = "a second signal asks for an immediate end")]
fn end_at_once(signal: SignalKind) {
    thread::spawn(|| {
        thread::sleep(ENDS_WITHIN);
        let _ = kill_process(getpid(), Signal::KILL);
    });
    private_server::end_all(DATABASE_ENDS_WITHIN);
    process::exit(128 + signal.as_raw_value());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_seen() {
        assert!(is_ignored(Signal::PIPE), "Rust programs ignore it");
        assert!(!is_ignored(Signal::TERM));
    }
}
