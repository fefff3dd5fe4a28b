//! Bugs seeded on purpose, to show that drill and ledger checker find them: each breaks one rule of the design.
//!
//! They exist only in builds with the feature `seeded-bugs`, which no default and no release build has; there the environment
//! variable [`VARIABLE`] selects one for the life of the process. Everywhere else [`is`] is `false` at compile time, and the
//! hooks are compiled out. A hook stands where its rule is implemented, and is one `if`; larger ones live in a `seeded` module
//! beside it. `make drill-bugs` runs every one (`tests/drill_bugs/`).

/// Selects the bug by name.
pub const VARIABLE: &str = "KARTSHOPPE_SEEDED_BUG";

/// A bug; `Bug::sentence` is the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    PositionBeforeOutputs,
    EventStateRestart,
    PublishedAgain,
    FrameDropped,
    OutcomeTwice,
    RescueWithoutProbe,
    StaleAttempt,
    AbortKeepsProducts,
    FlipBeforeOutcome,
    KeyNotKept,
    CartOutsideOrder,
    CursorClaimsTooMuch,
    WalAcknowledgedEarly,
    WalResumesAtSlot,
    ReminderLeavesEarly,
    RemovedComesBack,
    OrderUpdateLost,
    ExpiryIgnored,
    TrackerPositionFirst,
    RewindForgotten,
    ResumeForgotten,
    OlderStateShown,
}

/// Whether this bug is active.
#[cfg(not(feature = "seeded-bugs"))]
#[inline]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
pub use chosen::{UnknownBug, chosen, is};

#[cfg(feature = "seeded-bugs")]
mod chosen {
    use std::sync::OnceLock;

    use super::{Bug, VARIABLE};

    static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();

    /// The variable names an unknown bug.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error("{VARIABLE}: there is no bug {0}")]
    pub struct UnknownBug(String);

    /// Whether this bug is active.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        *CHOSEN.get_or_init(|| chosen().ok().flatten()) == Some(bug)
    }

    /// The bug that the environment selects.
    ///
    /// # Errors
    /// If no bug has that name.
    pub fn chosen() -> Result<Option<Bug>, UnknownBug> {
        let Some(name) = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty()) else { return Ok(None) };
        let bug = Bug::ALL.into_iter().find(|bug| bug.name() == name);
        bug.map(Some).ok_or(UnknownBug(name))
    }
}

#[cfg(feature = "seeded-bugs")]
impl Bug {
    /// All bugs.
    pub const ALL: [Self; 22] = [
        Self::PositionBeforeOutputs,
        Self::EventStateRestart,
        Self::PublishedAgain,
        Self::FrameDropped,
        Self::OutcomeTwice,
        Self::RescueWithoutProbe,
        Self::StaleAttempt,
        Self::AbortKeepsProducts,
        Self::FlipBeforeOutcome,
        Self::KeyNotKept,
        Self::CartOutsideOrder,
        Self::CursorClaimsTooMuch,
        Self::WalAcknowledgedEarly,
        Self::WalResumesAtSlot,
        Self::ReminderLeavesEarly,
        Self::RemovedComesBack,
        Self::OrderUpdateLost,
        Self::ExpiryIgnored,
        Self::TrackerPositionFirst,
        Self::RewindForgotten,
        Self::ResumeForgotten,
        Self::OlderStateShown,
    ];

    /// Its name, as the value of [`VARIABLE`].
    #[must_use]
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// The rule that it breaks.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.described().1
    }

    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::PositionBeforeOutputs => {
                ("position-before-outputs", "outputs and input positions become visible together or not at all")
            }
            Self::EventStateRestart => (
                "event-state-restart",
                "a product restarts from the committed state, never from the state in the event of its end",
            ),
            Self::PublishedAgain => ("published-again", "whatever the report says, a direct event is never sent again"),
            Self::FrameDropped => ("frame-dropped", "a page is sent every product whose latest change it has not been sent"),
            Self::OutcomeTwice => {
                ("outcome-twice", "each order item has exactly one outcome, however often its product was restarted")
            }
            Self::RescueWithoutProbe => (
                "rescue-without-probe",
                "an item without an outcome is given to the WAL reader only after the shard's answer to a probe",
            ),
            Self::StaleAttempt => ("stale-attempt", "a reply of any other attempt than the present one is dropped"),
            Self::AbortKeepsProducts => ("abort-keeps-products", "an abort resets live products too"),
            Self::FlipBeforeOutcome => ("flip-before-outcome", "an item that has an outcome is never flipped"),
            Self::KeyNotKept => ("key-not-kept", "one idempotency key, one order: the same answer when it is asked again"),
            Self::CartOutsideOrder => ("cart-outside-order", "the cart is emptied in the transaction that writes the order"),
            Self::CursorClaimsTooMuch => ("cursor-claims-too-much", "a cursor names only what this page was sent"),
            Self::WalAcknowledgedEarly => {
                ("wal-acknowledged-early", "a position of the WAL is acknowledged only after the log's commit")
            }
            Self::WalResumesAtSlot => {
                ("wal-resumes-at-slot", "the WAL reader goes on from the stored position, not from the slot's memory")
            }
            Self::ReminderLeavesEarly => {
                ("reminder-leaves-early", "a reminder leaves the queue only when its transaction is committed")
            }
            Self::RemovedComesBack => {
                ("removed-comes-back", "after the first position the file is never read again: removed products don't come back")
            }
            Self::OrderUpdateLost => {
                ("order-update-lost", "a session that waits for an order is notified, whatever tracker dies meanwhile")
            }
            Self::ExpiryIgnored => ("expiry-ignored", "an event that was appended after its expiry is absorbed, never applied"),
            Self::TrackerPositionFirst => {
                ("tracker-position-first", "outcomes and the tracker's position are written in one transaction")
            }
            Self::RewindForgotten => ("rewind-forgotten", "after an abort the sources seek back to the committed positions"),
            Self::ResumeForgotten => {
                ("resume-forgotten", "when the fan-out restarts, every connected page is treated as one that resumes")
            }
            Self::OlderStateShown => ("older-state-shown", "a page is shown of a product only what is newer"),
        }
    }
}

#[cfg(all(test, feature = "seeded-bugs"))]
mod tests {
    use std::collections::BTreeSet;

    use super::Bug;

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Bug::ALL.into_iter().map(Bug::name).collect();
        assert_eq!(names.len(), Bug::ALL.len());
    }
}
