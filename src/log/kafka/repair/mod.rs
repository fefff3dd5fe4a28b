//! Repairs what a broker's death leaves behind (docs/adr/0008). The normal path works without knowing any of it.
//!
//! A broker that comes back may have forgotten to decide transactions that it had ended, may answer from an old state of its
//! groups, and may take a member for the rival of its own past. Other files call in here at five moments:
//!
//! | when | call |
//! | --- | --- |
//! | before a session opens | [`previous_sessions::PreviousSessions::succeed`] waits for its predecessor to end |
//! | before new producers write | [`before_writing`] decides what earlier producers left undecided |
//! | before positions are read | [`before_reading_positions`] gives up what is undecided of them |
//! | when a member or writer is refused | [`rivals::Rivals`] says whether that is another process |
//! | every few seconds | [`standstill::StandstillWatch`] finds partitions that no writer frees; sessions then start over, once |
//!
//! Transactions are recognised by the stamps that the normal path writes with them ([`stamp`]).

mod decide;
mod evidence;
pub(super) mod previous_sessions;
pub(super) mod rivals;
pub(super) mod stamp;
pub(super) mod standstill;

pub(super) use decide::{before_reading_positions, before_writing};
