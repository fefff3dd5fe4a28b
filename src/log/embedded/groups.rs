//! The members of each group, and which of them owns the partitions. All of them are in this process.
//!
//! The member that joined last owns all partitions; when it leaves, the one before it takes them over. A newer session of the
//! same identity fences the older one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::LogError;

/// A session as the groups and the writer know it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) identity: String,
    /// Grows with every session of the identity; kept in the file.
    pub(super) epoch: i64,
    /// Grows with every session of the process.
    pub(super) number: u64,
    pub(super) group: Option<String>,
    fenced: AtomicBool,
    closed: AtomicBool,
}

impl Member {
    pub(super) fn new(identity: String, epoch: i64, number: u64, group: Option<String>) -> Self {
        Self { identity, epoch, number, group, fenced: AtomicBool::new(false), closed: AtomicBool::new(false) }
    }

    /// # Errors
    /// [`LogError::Fenced`] or [`LogError::Closed`].
    pub(super) fn check(&self) -> Result<(), LogError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(self.fenced());
        }
        if self.closed.load(Ordering::Acquire) { Err(LogError::Closed) } else { Ok(()) }
    }

    pub(super) fn fenced(&self) -> LogError {
        LogError::Fenced { identity: self.identity.clone() }
    }
}

/// All open sessions.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    members: Vec<Arc<Member>>,
    /// Each group, and the number of the member that its partitions were assigned to last.
    owners: Vec<(String, u64)>,
}

impl Groups {
    /// Adds a session, and fences what it replaces.
    pub(super) fn join(&self, member: &Arc<Member>) {
        let mut state = self.lock();
        for other in &state.members {
            if other.identity == member.identity {
                let older = if other.epoch < member.epoch { other } else { member };
                older.fenced.store(true, Ordering::Release);
            }
        }
        state.members.push(Arc::clone(member));
        state.members.retain(|member| !member.fenced.load(Ordering::Acquire));
    }

    /// Removes a session.
    pub(super) fn leave(&self, member: &Member) {
        member.closed.store(true, Ordering::Release);
        let mut state = self.lock();
        state.members.retain(|other| other.number != member.number);
        state.owners.retain(|(_, owner)| *owner != member.number);
    }

    /// Whether this member should take over the partitions of its group.
    pub(super) fn is_next(&self, member: &Member) -> bool {
        let state = self.lock();
        let newest = state.members.iter().filter(|other| other.group == member.group).map(|other| other.number).max();
        newest == Some(member.number)
    }

    /// Assigns the partitions of its group to this member.
    pub(super) fn take_over(&self, member: &Member) {
        let Some(group) = &member.group else { return };
        let mut state = self.lock();
        state.owners.retain(|(name, _)| name != group);
        state.owners.push((group.clone(), member.number));
    }

    /// Whether the partitions are assigned to this member, and it is still the newest.
    pub(super) fn owns(&self, member: &Member) -> bool {
        let is_owner = |state: &State| {
            state.owners.iter().any(|(name, owner)| member.group.as_ref() == Some(name) && *owner == member.number)
        };
        is_owner(&self.lock()) && self.is_next(member)
    }

    /// How many open sessions a group has.
    pub(super) fn live_members(&self, group: &str) -> usize {
        self.lock().members.iter().filter(|member| member.group.as_deref() == Some(group)).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(identity: &str, epoch: i64, number: u64) -> Arc<Member> {
        Arc::new(Member::new(identity.to_owned(), epoch, number, Some("inventory".to_owned())))
    }

    #[test]
    fn the_newest_takes_over_and_hands_back() {
        let groups = Groups::default();
        let (first, second) = (member("a", 1, 1), member("b", 1, 2));
        groups.join(&first);
        groups.take_over(&first);
        assert!(groups.owns(&first));
        groups.join(&second);
        assert!(!groups.owns(&first) && groups.is_next(&second) && !groups.owns(&second));
        groups.take_over(&second);
        assert_eq!(groups.live_members("inventory"), 2);
        groups.leave(&second);
        assert!(groups.is_next(&first) && !groups.owns(&first), "the first must take them over again: positions may have moved");
    }

    #[test]
    fn the_higher_epoch_wins_in_whatever_order_they_join() {
        let groups = Groups::default();
        let (older, newer) = (member("a", 1, 1), member("a", 2, 2));
        groups.join(&newer);
        groups.join(&older);
        assert!(matches!(older.check(), Err(LogError::Fenced { .. })));
        assert!(newer.check().is_ok());
        assert_eq!(groups.live_members("inventory"), 1);
    }
}
