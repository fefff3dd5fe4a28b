//! The actors of the api role on a log and, where they need one, a database: started below a real root, with faults enabled.

use std::sync::Arc;
use std::time::Duration;

use kartshoppe::actors::alert_desk::{AlertDesk, AlertHandle};
use kartshoppe::actors::catalog_view::{CatalogHandle, CatalogView};
use kartshoppe::actors::fanout::{FanoutHandle, FanoutSettings, WebSocketFanout};
use kartshoppe::actors::faults::{Fault, FaultBoard, Target};
use kartshoppe::actors::order_publisher::{OrderPublisher, PublisherHandle, PublisherSettings};
use kartshoppe::actors::order_tracker::{OrderTracker, RenderOrder, TrackerHandle, TrackerParts};
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::{ChildSpec, RestartPolicy};
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::Rules;
use kartshoppe::domain::order::OrderStatus;
use kartshoppe::log::EventLog;
use kartshoppe::store::{Order, Store};
use kartshoppe::wire::Money;
use kartshoppe::wire::pages::order;

use super::log::within;

/// Handles and the tree behind them.
pub struct ApiRole {
    pub catalog: CatalogHandle,
    pub fanout: FanoutHandle,
    pub alerts: AlertHandle,
    pub publisher: PublisherHandle,
    pub tracker: TrackerHandle,
    pub context: SupervisionContext,
    root: RootHandle,
}

pub const PUBLISHER: PublisherSettings = PublisherSettings {
    direct_expiry: Duration::from_secs(15),
    publish_timeout: Duration::from_secs(10),
    max_clock_skew: Duration::from_secs(5),
};

impl ApiRole {
    /// Starts view, fan-out and alert desk; with a store also publisher and tracker.
    pub async fn start(log: &Arc<dyn EventLog>, store: Option<&Store>) -> Self {
        Self::start_with(log, store, FanoutSettings { cache_sync_max: 5000, heartbeat_interval: Duration::from_millis(50) }).await
    }

    pub async fn start_with(log: &Arc<dyn EventLog>, store: Option<&Store>, settings: FanoutSettings) -> Self {
        let context = SupervisionContext {
            alarms: kartshoppe::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            restart: RestartPolicy::default(),
            hang_after: Duration::from_millis(500),
        };
        let clock = Clock::system();
        let catalog = CatalogHandle::new();
        let fanout = FanoutHandle::new(catalog.clone(), settings, clock.clone());
        let alerts = AlertHandle::new(catalog.clone(), Rules::default());
        let publisher = PublisherHandle::new(PUBLISHER, clock.clone());
        let tracker = TrackerHandle::new(publisher.gate().clone());
        let mut children = vec![
            CatalogView::child(&context, log.clone(), &catalog, clock.clone()),
            WebSocketFanout::child(&context, log.clone(), &fanout),
            AlertDesk::child(&context, log.clone(), &alerts),
        ];
        if let Some(store) = store {
            let (log, store, fanout, render) = (log.clone(), store.clone(), fanout.clone(), render());
            children.push(OrderPublisher::child(&context, log.clone(), &publisher));
            let parts = TrackerParts { log, store, fanout, render, clock };
            children.push(OrderTracker::child(&context, parts, &tracker));
        }
        let make: Arc<dyn Fn() -> Vec<ChildSpec> + Send + Sync> = Arc::new(move || children.clone());
        let root = within(RootHandle::spawn(&context, vec![RoleSpec { name: "api", children: make }])).await.unwrap();
        within(root.start("api")).await.unwrap();
        Self { catalog, fanout, alerts, publisher, tracker, context, root }
    }

    /// Strikes an actor by its id.
    pub fn strike(&self, id: &str, fault: Fault) {
        self.context.faults.inject(&self.context.directory, Target::Actor(id.to_owned()), fault, 1, Duration::from_secs(60));
    }

    /// How often an actor was restarted.
    pub fn restarts(&self, id: &str) -> u64 {
        self.context.directory.find(id).map_or(0, |entry| entry.report().incarnation.saturating_sub(1))
    }

    pub async fn stop(&self) {
        within(self.root.stop("api")).await.unwrap();
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(super::log::PATIENCE, waiting).await.is_err() {
        panic!("never happened: {what}");
    }
}

fn render() -> RenderOrder {
    Arc::new(|order: &Order| order::Order {
        order_id: order.order_id.to_string(),
        user_id: order.user_id.clone(),
        session_id: order.session_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        items: Vec::new(),
        subtotal: Money::from(order.totals.subtotal),
        tax: Money::from(order.totals.tax),
        shipping: Money::from(order.totals.shipping),
        total_amount: Money::from(order.totals.total),
        payable: order.totals.into(),
        status: OrderStatus::parse(&order.status).unwrap_or(OrderStatus::Pending),
        shipping_address: None,
        payment_info: None,
        created_at: order.created_at_ms,
        updated_at: order.updated_at_ms,
        timestamp: order.updated_at_ms,
        use_cdc: false,
        timeline: Vec::new(),
        trace_url: None,
    })
}
