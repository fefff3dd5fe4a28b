//! Deadlines come due in order: if a later one has made its product stale, no earlier one may have been passed over.
//!
//! Compared with states that were written before: a product that is updated late may get a deadline that has already passed,
//! which comes due with the next transaction.

/// Events within one second may belong to one transaction; brokers' clocks differ by less.
const MARGIN_MS: i64 = 1_000;

/// The deadlines that came due in one partition, in log order.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// Append time and deadline; an entry is dropped once a later event has a later deadline, so deadlines fall from first to
    /// last.
    due: Vec<(i64, i64)>,
}

impl Deadlines {
    /// Records that a product went stale.
    pub fn came_due(&mut self, deadline_ms: i64, append_time_ms: i64) {
        while self.due.last().is_some_and(|(_, known)| *known <= deadline_ms) {
            self.due.pop();
        }
        self.due.push((append_time_ms, deadline_ms));
    }

    /// A later deadline that came due well after a state with this one was written, if any.
    #[must_use]
    pub fn passed_over(&self, deadline_ms: i64, written_ms: i64) -> Option<i64> {
        let after = self.due.iter().find(|(append_time_ms, _)| *append_time_ms > written_ms.saturating_add(MARGIN_MS));
        after.map(|(_, later)| *later).filter(|later| *later > deadline_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_passed_over_if_a_later_one_came_due_after_its_state_was_written() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.passed_over(0, 0), None);
        for (deadline, append) in [(10_000, 10_500), (9_000, 20_000), (15_000, 21_000), (12_000, 30_000)] {
            deadlines.came_due(deadline, append);
        }
        assert_eq!(deadlines.passed_over(14_000, 5_000), Some(15_000));
        assert_eq!(deadlines.passed_over(15_000, 5_000), None, "the same deadline is not passed over");
        assert_eq!(deadlines.passed_over(11_000, 25_000), Some(12_000), "only what came due afterwards");
        assert_eq!(deadlines.passed_over(14_000, 25_000), None);
        assert_eq!(deadlines.passed_over(11_000, 29_500), None, "perhaps of the same transaction");
    }
}
