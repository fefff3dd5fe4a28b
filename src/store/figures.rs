//! What the store measures: its calls and its pool of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::{Store, StoreError};
use crate::telemetry::families as family;
use crate::telemetry::metrics::{Metrics, SECONDS};

/// The figures of all clones of a store.
#[derive(Debug)]
pub(super) struct CallFigures {
    active: AtomicU64,
    answered: Histogram,
    failed: Histogram,
}

impl Default for CallFigures {
    fn default() -> Self {
        Self { active: AtomicU64::new(0), answered: Histogram::new(SECONDS), failed: Histogram::new(SECONDS) }
    }
}

impl CallFigures {
    /// A call begins; one that is given up counts as long as it lasted, as neither.
    pub fn begin(self: &Arc<Self>) -> Call {
        self.active.fetch_add(1, Ordering::Relaxed);
        Call { figures: self.clone(), since: Instant::now() }
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    figures: Arc<CallFigures>,
    since: Instant,
}

impl Call {
    pub fn end<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let times = if result.is_ok() { &self.figures.answered } else { &self.figures.failed };
        times.observe(self.since.elapsed().as_secs_f64());
        result
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.figures.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// Registers the figures of calls and connections, once.
    pub fn register(&self, metrics: &Metrics) {
        let outcomes = vec![("ok", self.calls.answered.clone()), ("error", self.calls.failed.clone())];
        metrics.register_each(&family::SQL_CALL_SECONDS, outcomes);
        let calls = self.calls.clone();
        metrics.observe_one(&family::SQL_CALLS_ACTIVE, move || Some(calls.active.load(Ordering::Relaxed) as f64));
        let pool = self.pool().clone();
        metrics.observe(&family::SQL_CONNECTIONS, move || {
            let (all, idle) = (pool.size() as usize, pool.num_idle());
            let states = [("used", all.saturating_sub(idle)), ("idle", idle.min(all))];
            states.map(|(state, count)| (vec![("state", state.to_owned())], count as f64)).to_vec()
        });
        let most = f64::from(self.options.max_connections);
        metrics.observe_one(&family::SQL_CONNECTIONS_MAX, move || Some(most));
    }
}
