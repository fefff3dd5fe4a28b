//! What runs behind the page, asked of the log now and then and not by every page.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Json;
use axum::extract::State;

use crate::actors::catalog_view::{self, CatalogHandle};
use crate::actors::fanout::FanoutHandle;
use crate::actors::root::RootHandle;
use crate::actors::supervision::ChildState;
use crate::api::server::Lifeline;
use crate::api::state::Shop;
use crate::clock::Clock;
use crate::log::EventLog;
use crate::wire::pages::status::{CatalogState, RunState, Status};

/// How often the log is asked who is there.
const EVERY: Duration = Duration::from_secs(1);
/// Roles of this process answer at once or not at all.
const PATIENCE: Duration = Duration::from_millis(500);

/// The last known status. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusBoard {
    last: Arc<ArcSwap<Status>>,
    catalog: CatalogHandle,
}

/// Where the status comes from.
pub struct StatusSources {
    pub log: Arc<dyn EventLog>,
    /// The consumer group of the inventory: it runs somewhere if the group has a live member.
    pub inventory_group: &'static str,
    pub roles: RootHandle,
    pub catalog: CatalogHandle,
    pub fanout: FanoutHandle,
    pub clock: Clock,
    pub tracing: bool,
    pub browser_tracing: bool,
    /// Stock from 1 to this is low.
    pub low_stock: i64,
}

impl StatusBoard {
    /// Starts asking, until the server stops.
    #[must_use]
    pub fn start(sources: StatusSources, lifeline: &Lifeline) -> Self {
        let first = Status {
            inventory: RunState::Unknown,
            cdc: RunState::Unknown,
            since: None,
            catalog: catalog_state(&sources.catalog),
            tracing: sources.tracing,
            browser_tracing: sources.browser_tracing,
            low_stock: sources.low_stock,
        };
        let board = Self { last: Arc::new(ArcSwap::from_pointee(first)), catalog: sources.catalog.clone() };
        let (stop, asking) = (lifeline.stop.clone(), board.clone());
        lifeline.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(asking.keep_asking(sources)).await;
        });
        board
    }

    /// The status now.
    #[must_use]
    pub fn read(&self) -> Status {
        Status { catalog: catalog_state(&self.catalog), ..**self.last.load() }
    }

    async fn keep_asking(self, sources: StatusSources) {
        loop {
            let inventory = match sources.log.live_members(sources.inventory_group).await {
                Ok(0) => RunState::Stopped,
                Ok(_) => RunState::Running,
                Err(_) => RunState::Unknown,
            };
            let before = self.read();
            let since = if inventory == before.inventory { before.since } else { Some(sources.clock.now_ms()) };
            let status = Status { inventory, cdc: role_state(&sources.roles, "role/cdc").await, since, ..before };
            self.last.store(Arc::new(status));
            sources.fanout.set_status(self.read());
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// A role of this process that has children; one elsewhere is not seen.
async fn role_state(roles: &RootHandle, id: &str) -> RunState {
    let Ok(reports) = roles.report(PATIENCE).await else { return RunState::Unknown };
    match reports.iter().find(|report| report.id == id).map(|report| report.state) {
        Some(ChildState::Running | ChildState::Restarting) => RunState::Running,
        Some(ChildState::Stopped) => RunState::Stopped,
        None => RunState::Unknown,
    }
}

fn catalog_state(catalog: &CatalogHandle) -> CatalogState {
    match catalog.state() {
        catalog_view::CatalogState::Empty => CatalogState::Empty,
        catalog_view::CatalogState::Restoring => CatalogState::Restoring,
        catalog_view::CatalogState::Live => CatalogState::Live,
    }
}

/// What runs behind the page.
#[utoipa::path(get, path = "/api/ecommerce/status", tag = "status", responses((status = 200, body = Status)))]
pub fn read(State(shop): State<Arc<Shop>>) -> Ready<Json<Status>> {
    ready(Json(shop.status.read()))
}
