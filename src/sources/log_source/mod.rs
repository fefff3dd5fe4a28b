//! The log source: polls the inputs, decodes the records, and sets the pace of the whole inventory.
//!
//! ```text
//!   session ── poll ──► decode ──► pending ── dispatch ──► shards ──► committer ── Transaction ──► session.commit
//!      ▲                              ▲ merges while a batch is under way                             │
//!      └── rewind, after a batch that was given up, or a commit that failed ◄──────── otherwise ──────┘
//! ```
//! At most one batch is uncommitted. Meanwhile the next chunk is polled and decoded, up to a full batch; it is dispatched when
//! the commit has returned. If no batch is under way, records are dispatched at once: no timer adds to the latency.
//!
//! The source owns the session. Whichever part fails, the source brings the inventory back to what the log holds:
//! - a shard: the batch is given up (or its commit awaited), the inputs are rewound, the partition is restored;
//! - the committer: the same without a restore; a commit that is under way needs no committer;
//! - a commit: rewind and retry, after a wait;
//! - the source itself: a new session, which fences the old one, and every partition is restored.
//!
//! In reading order: `state`, `actor` (which method handles which message), `session`, `poll`, `decode`, `pending`, `dispatch`,
//! `commit`, `rewind`, `check_reminders` with `catch_up`; `owned_partition` is what the source knows of one partition.

mod actor;
mod catch_up;
mod check_reminders;
mod commit;
mod decode;
mod dispatch;
mod owned_partition;
mod pending;
mod poll;
mod rewind;
mod session;
mod state;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::actors::inventory::{CommandSource, Feed, FeedNews};
use crate::actors::kit::Mailbox;
use crate::actors::supervision::{ActorKind, ChildSpec};
use state::{LogSource, SourceContext, SourceMsg};

/// Feeds an inventory from the log's topics `product-updates` and `order-events`.
#[must_use]
pub fn feed_from_log(feed: Feed) -> CommandSource {
    let id = ActorKind::LogSource.as_str();
    let mailbox: Mailbox<SourceMsg> = Mailbox::new(id);
    let (vitals, restart) = (feed.supervision.vitals(ActorKind::LogSource, id), feed.supervision.restart);
    let context = Arc::new(SourceContext { feed, vitals, mailbox: mailbox.clone(), last_number: AtomicU64::new(1) });
    CommandSource {
        notify: Arc::new(move |news: FeedNews| drop(mailbox.tell(SourceMsg::News(news)))),
        child: Box::new(move || {
            let context = context.clone();
            ChildSpec::new(ActorKind::LogSource, id, restart, move || (LogSource(context.clone()), ()))
        }),
    }
}
