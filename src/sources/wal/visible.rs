//! Whether other sessions can see yet what was committed.
//!
//! PostgreSQL hands a commit to its replication before other sessions see it: by microseconds usually, by tens of milliseconds on
//! a busy machine, for as long as it takes where a commit also waits for a standby. A reader of the event must find its row, or
//! an outcome would be written to nothing and lost. So nothing is published before all sessions can see it.

use std::time::Duration;

use super::names::Xid;
use super::server::{Server, ServerError, in_time};
use crate::clock::Backoff;

/// Half of all numbers are in the future of any of them.
const FUTURE: Xid = 1 << 31;
/// First and longest wait before the server is asked again.
const AGAIN_MIN: Duration = Duration::from_micros(500);
const AGAIN_MAX: Duration = Duration::from_millis(20);

/// Which transactions other sessions do not see yet, from what a session would see now.
const UNDER_WAY: &str = "
SELECT pg_snapshot_xmax(now)::text::bigint & 4294967295, ARRAY(SELECT xid::text::bigint & 4294967295 FROM pg_snapshot_xip(now) AS xid)
FROM pg_current_snapshot() AS now";

impl Server {
    /// Returns when all sessions see what these committed transactions did.
    ///
    /// # Errors
    /// [`ServerError`], after which the connection is of no use.
    pub(super) async fn await_visible(&mut self, committed: &[Xid]) -> Result<(), ServerError> {
        let mut backoff = Backoff::new(AGAIN_MIN, AGAIN_MAX);
        while !committed.is_empty() {
            let question = sqlx::query_as(UNDER_WAY).fetch_one(&mut self.connection);
            let (next, running): (i64, Vec<i64>) = in_time("ask PostgreSQL which transactions are running", question).await?;
            if !committed.iter().any(|xid| is_under_way(*xid, next, &running)) {
                break;
            }
            backoff.wait().await;
        }
        Ok(())
    }
}

/// Whether a snapshot does not show this transaction: one that it names, or one from `next` on.
fn is_under_way(xid: Xid, next: i64, running: &[i64]) -> bool {
    let next = Xid::try_from(next).unwrap_or_default();
    xid.wrapping_sub(next) < FUTURE || running.contains(&i64::from(xid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_around_the_circle() {
        for (xid, next, running, under_way) in [
            (9, 10, &[][..], false),
            (10, 10, &[], true),
            (11, 10, &[], true),
            (8, 10, &[7, 8], true),
            (9, 10, &[7, 8], false),
            (Xid::MAX, 5, &[], false),
            (Xid::MAX, 5, &[i64::from(Xid::MAX)], true),
            (5, i64::from(Xid::MAX), &[], true),
        ] {
            assert_eq!(is_under_way(xid, next, running), under_way, "{xid} {next} {running:?}");
        }
    }
}
