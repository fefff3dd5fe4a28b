//! Limits how many expensive requests of one kind run at once: those that read much of the log, or hold a stream open.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::api::problem::Problem;

/// The permits of one kind of request.
pub(super) struct Turns {
    places: Semaphore,
    at_once: usize,
    /// The answer when all permits are taken; follows their number.
    others: &'static str,
}

impl Turns {
    pub const fn new(at_once: usize, others: &'static str) -> Self {
        Self { places: Semaphore::const_new(at_once), at_once, others }
    }

    /// Waits for a permit until then.
    pub async fn wait(&self, until: Instant) -> Result<SemaphorePermit<'_>, Problem> {
        timeout_at(until, self.places.acquire()).await.ok().and_then(Result::ok).ok_or_else(|| self.busy())
    }

    /// Takes a permit if one is free now.
    pub fn take(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.places.try_acquire().map_err(|_| self.busy())
    }

    fn busy(&self) -> Problem {
        Problem::unavailable("busy", format!("{} {}", self.at_once, self.others))
    }
}
