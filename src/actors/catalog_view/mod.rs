//! The read model: every product as the log last described it, for REST, carts, recommendations and pages.
//!
//! ```text
//!  log: products (whole) ───────┐                           ┌─► CatalogHandle ─► REST, cart, checkout  (no lock, no call, no SQL)
//!                               ├─► CatalogView ─► Catalog ─┤
//!  log: inventory-events (part) ┘     (actor)      (shared) └─► TakenFeed ─► WebSocketFanout ─► pages
//! ```
//! The actor restores from `products` to its end, then follows both topics through one update function (`merge`). What it holds
//! outlives it: a view that is being restarted is read as before, and the restart takes everything from the log again.

mod actor;
mod body;
mod cached;
mod decode;
mod entry;
mod facets;
mod front;
mod handle;
mod history;
mod intake;
mod lists;
mod merge;
mod related;
mod search;
mod shared_text;
mod store;
mod table;
mod taken;
#[cfg(test)]
pub(crate) mod testing;
mod upkeep;
mod writer;

pub use actor::{CatalogView, CatalogViewMsg, CatalogViewState};
pub use entry::{Entry, Presence};
pub use facets::Facets;
pub use front::{Front, FrontQuery};
pub use handle::{CatalogHandle, Listing, Rendered, RestoreProgress};
pub use history::{Change, History};
pub use lists::{FoundProducts, Query, Sort};
pub use search::Needle;
pub use shared_text::{Pieces, SharedText};
pub use store::Tallies;
pub use table::{Chunked, Slot, SlotNo};
pub use taken::{ChangeNote, SourcePositions, TakenChanges, TakenFeed};

pub use crate::wire::pages::status::CatalogState;
