//! The whole catalogue in one answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde_json::to_vec;

use crate::actors::catalog_view::SharedText;
use crate::api::failure::Failure;
use crate::api::shared_body;
use crate::api::state::Shop;

/// A larger catalogue is collected outside the async workers.
const INLINE_MAX: u64 = 50_000;

/// All products with their categories.
#[utoipa::path(get, path = "/api/ecommerce/inventory/state", tag = "products",
    responses((status = 200, body = crate::wire::pages::inventory_state::InventoryState)))]
pub async fn read(State(shop): State<Arc<Shop>>) -> Result<Response, Failure> {
    let text = if shop.catalog.progress().products <= INLINE_MAX {
        write(&shop)
    } else {
        let waiting = shop.clone();
        tokio::task::spawn_blocking(move || write(&waiting)).await.unwrap_or_else(|_| write(&shop))
    };
    Ok(shared_body::json(text.pieces()))
}

fn write(shop: &Shop) -> Arc<SharedText> {
    shop.catalog.text(shop.catalog.all(), |count, _| {
        let categories = shop.catalog.categories();
        let names: Vec<&str> = categories.iter().map(|name| &**name).collect();
        let names = String::from_utf8(to_vec(&names).unwrap_or_default()).unwrap_or_default();
        let tail = format!("],\"totalProducts\":{count},\"timestamp\":{},\"categories\":{names}}}", shop.clock.now_ms());
        (Bytes::from_static(b"{\"products\":["), Bytes::from(tail))
    })
}
