//! Pushes to every open page what the view has taken, and nothing else.
//!
//! ```text
//!  CatalogView ─► TakenFeed ─► WebSocketFanout ─► Journal (encoded once, shared) ─► PageSubscription ─► api::socket ─► the page
//!                                (actor)                                         ▲
//!  shopping-cart-events ─────────►  carts  ─► Outbox of the session's pages ──────┘
//!  OrderTracker ──────────────────► orders ─► Outbox of the session's pages ──────┘
//! ```
//! A page is registered first and gets its snapshot then, so nothing falls between. A page that does not read costs nothing and
//! holds no other back: it has a place in the journal, not a queue. Wake-ups are paced by the number of pages, so that with a
//! thousand of them one write carries many frames; a change after a quiet moment goes out at once.

mod actor;
mod addressed;
mod carts;
mod counts;
mod cursor;
mod frame;
mod handle;
mod hub;
mod journal;
mod outbox;
mod page;
mod pushes;
#[cfg(test)]
mod tests;

pub use actor::{FanoutMsg, FanoutState, WebSocketFanout};
pub use counts::Counts;
pub use handle::FanoutHandle;
pub use hub::FanoutSettings;
pub use page::{Burst, PageInfo, PageSubscription};
pub use pushes::PushSpans;
