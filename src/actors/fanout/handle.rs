//! How the rest of the process reaches pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::counts::Counts;
use super::hub::{FanoutSettings, Hub};
use super::outbox::FrameSubject;
use super::page::{PageInfo, PageSubscription};
use crate::actors::catalog_view::CatalogHandle;
use crate::actors::waiting::WaitingOutput;
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::{Offset, TopicPartition};
use crate::wire::pages::cart::Cart;
use crate::wire::pages::frame::Frame;
use crate::wire::pages::order::Order;
use crate::wire::pages::recommendation::Recommendation;
use crate::wire::pages::status::Status;
use crate::wire::pages::websocket;

/// Registers pages, and addresses the pages of a session. Cheap to clone; works while the actor is being restarted.
#[derive(Debug, Clone)]
pub struct FanoutHandle {
    pub(super) hub: Arc<Hub>,
}

impl FanoutHandle {
    /// A fan-out of this catalogue; its actor makes it move.
    #[must_use]
    pub fn new(catalog: CatalogHandle, settings: FanoutSettings, clock: Clock) -> Self {
        Self { hub: Arc::new(Hub::new(catalog, settings, clock)) }
    }

    /// Registers a page. From now on it misses nothing; its first burst is the whole catalogue, or what it missed since its
    /// cursor.
    #[must_use]
    pub fn register(&self, page: PageInfo) -> PageSubscription {
        PageSubscription::new(self.hub.clone(), page)
    }

    /// The bytes that wait for slow readers of this process.
    #[must_use]
    pub fn waiting(&self) -> &WaitingOutput {
        self.hub.catalog.waiting()
    }

    /// Drops caches that only save time.
    pub fn forget_sync(&self) {
        self.hub.forget_sync();
    }

    /// How many pages are connected.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.hub.page_count()
    }

    /// Whether a page of this session is connected here: otherwise nothing needs to be rendered for it.
    #[must_use]
    pub fn has_session(&self, session_id: &str) -> bool {
        self.hub.has_session(session_id)
    }

    /// Shows the session's pages their cart. Only the latest is kept for a page that does not read.
    pub fn show_cart(&self, cart: &Cart) {
        self.show(&cart.session_id, &FrameSubject::Cart, &Frame::ShoppingCart(cart), None);
    }

    /// Shows the order to its session's pages. Only the latest state of an order is kept for a page that does not read; of too
    /// many orders the oldest go, and the page's next heartbeat says `reload`.
    pub fn show_order(&self, order: &Order) {
        let subject = FrameSubject::Order(order.order_id.clone());
        self.show(&order.session_id, &subject, &Frame::OrderUpdate(order), Some(order.created_at));
    }

    /// Recommends products to every page, now and when it connects. Only the latest counts; nothing in the shop calls this yet
    /// (exercises/08-best-sellers does).
    pub fn recommend(&self, recommendation: &Recommendation) {
        let message = Frame::Recommendation(recommendation).to_json(&Uuid::new_v4().to_string(), self.hub.clock.now_ms());
        self.hub.to_everyone(websocket::encode(websocket::TEXT, &message));
    }

    fn show(&self, session_id: &str, subject: &FrameSubject, frame: &Frame<'_>, event_ms: Option<EpochMs>) {
        if self.has_session(session_id) {
            let message = frame.to_json(&Uuid::new_v4().to_string(), self.hub.clock.now_ms());
            self.hub.to_session(session_id, subject, websocket::encode(websocket::TEXT, &message), event_ms);
        }
    }

    /// Where it stands on `shopping-cart-events`; empty while it has not begun.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<TopicPartition, Offset> {
        self.hub.cart_positions().map(|positions| positions.as_ref().clone()).unwrap_or_default()
    }

    /// What heartbeats say of the shop from now on.
    pub fn set_status(&self, status: Status) {
        self.hub.set_status(status);
    }

    /// Ends every page's stream: it gets what is due, then `None`.
    pub fn close(&self) {
        self.hub.close();
    }

    /// Age of the oldest change that the view has taken and pages are not woken for yet; zero if none waits, or no page for it:
    /// where the role was stopped, the last changes stay.
    #[must_use]
    pub fn oldest_unpushed(&self) -> Duration {
        if self.pages() == 0 {
            return Duration::ZERO;
        }
        self.hub.catalog.catalog().taken().oldest().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What was pushed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.hub.counts
    }
}
