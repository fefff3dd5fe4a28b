//! The first page's shelves in one answer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::actors::catalog_view::{Entry, Front, FrontQuery};
use crate::api::state::Shop;

/// The shelves of the first page: latest changes, price drops, almost sold out, best sellers.
#[utoipa::path(get, path = "/api/ecommerce/front", tag = "products",
    responses((status = 200, body = crate::wire::pages::front::Front, headers(("etag" = String))), (status = 304)))]
pub async fn read(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let asked = FrontQuery { low_stock: shop.config.inventory.warning_max, now_ms: shop.clock.now_ms() };
    let front = shop.catalog.front(asked).await;
    shop.packed.answer_by_content(&headers, write(&front)).await
}

/// The answer, as [`crate::wire::pages::front::Front`] describes it: products are rendered already.
fn write(front: &Front) -> Vec<u8> {
    let mut json = b"{\"moves\":[".to_vec();
    let moves = front.moves.iter().filter(|(product, _)| !product.body().is_empty());
    for (place, (product, change)) in moves.enumerate() {
        json.extend_from_slice(if place > 0 { b",{\"product\":" } else { b"{\"product\":" });
        json.extend_from_slice(product.body());
        json.extend_from_slice(b",\"change\":");
        // Serialising texts and numbers to memory cannot fail.
        let _ = serde_json::to_writer(&mut json, &change.to_wire());
        json.push(b'}');
    }
    json.extend_from_slice(b"],\"drops\":");
    push_products(&mut json, &front.drops);
    json.extend_from_slice(b",\"almostGone\":");
    push_products(&mut json, &front.almost_gone);
    json.extend_from_slice(b",\"trending\":");
    push_products(&mut json, &front.trending);
    json.push(b'}');
    json
}

/// Products as a JSON array.
pub fn push_products(json: &mut Vec<u8>, products: &[Arc<Entry>]) {
    json.push(b'[');
    for (place, product) in products.iter().filter(|product| !product.body().is_empty()).enumerate() {
        if place > 0 {
            json.push(b',');
        }
        json.extend_from_slice(product.body());
    }
    json.push(b']');
}
