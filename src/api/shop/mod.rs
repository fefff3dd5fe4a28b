//! What shoppers ask for over REST, one file per resource.

pub mod affinity;
pub mod cart;
pub mod checkout;
pub mod events;
pub mod front;
pub mod inventory_state;
pub mod listed;
pub mod orders;
pub mod picture;
pub mod products;
pub mod query;
pub mod recommendations;
pub mod status;
pub mod traces;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::state::Shop;
use crate::actors::catalog_view::CatalogState;

/// What depends on the catalogue, but for these.
const WITH_CATALOGUE: &str = "/api/ecommerce/";
const WITHOUT_CATALOGUE: [&str; 2] = ["/api/ecommerce/status", "/api/ecommerce/events"];

/// Refuses what needs the whole catalogue as long as a process that has just started is reading it: a product that is missing may
/// only not have come yet, and a definite no would be wrong.
pub async fn until_restored(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let needs_all = path.starts_with(WITH_CATALOGUE) && !WITHOUT_CATALOGUE.contains(&path);
    if needs_all && shop.catalog.state() == CatalogState::Restoring {
        return Problem::unavailable("catalog_restoring", "the catalogue is still being read; try again in a moment")
            .into_response();
    }
    next.run(request).await
}
