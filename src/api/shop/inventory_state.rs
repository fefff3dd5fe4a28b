//! The whole catalogue, never a page of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::to_vec;

use crate::api::failure::Failure;
use crate::api::state::Shop;

/// A larger catalogue is written beside the async workers.
const INLINE_MAX: u64 = 5_000;

/// All products with their categories.
#[utoipa::path(get, path = "/api/ecommerce/inventory/state", tag = "products",
    responses((status = 200, body = crate::wire::inventory_state::InventoryState)))]
pub async fn read(State(shop): State<Arc<Shop>>) -> Result<Response, Failure> {
    let body = if shop.catalog.progress().products <= INLINE_MAX {
        write(&shop)
    } else {
        let write = move || write(&shop);
        tokio::task::spawn_blocking(write).await.unwrap_or_default()
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn write(shop: &Shop) -> Vec<u8> {
    let mut body = b"{\"products\":".to_vec();
    let count = super::put_array(&mut body, shop.catalog.all());
    let categories = shop.catalog.categories();
    let names: Vec<&str> = categories.iter().map(|name| &**name).collect();
    body.extend_from_slice(
        format!(",\"totalProducts\":{count},\"timestamp\":{},\"categories\":", shop.clock.now_ms()).as_bytes(),
    );
    body.extend_from_slice(&to_vec(&names).unwrap_or_else(|_| b"[]".to_vec()));
    body.push(b'}');
    body
}
