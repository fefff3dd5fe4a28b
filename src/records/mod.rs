//! Records of the event log as people see them: shown as JSON, picked by a predicate, written by hand.
//!
//! Used by `topics tail` on the command line and by the operators' records routes. [`timeline`] is one product's
//! history, [`purchase`] one order's way, and [`letters`] what is known of dead letters.

pub mod letters;
mod predicate;
pub mod purchase;
pub mod search;
pub mod timeline;
mod view;
mod window;

pub use predicate::Predicate;
pub use search::ReadFrom;
pub use view::{Form, RecordDraft, on_one_line, raw, shown};
