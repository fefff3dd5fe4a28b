//! What a shopper might like: from the cart, from what was bought, from what sells. Nothing is invented.
//!
//! A user's id is claimed and not proven: anyone can request what is shown to a user. So personal recommendations follow from the
//! session alone, whose id is known only to itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::front;
use super::listed::Listed;
use super::products::unknown;
use super::query::{Parameters, Parsed};
use crate::actors::catalog_view::{Entry, Query, Sort};
use crate::api::failure::Failure;
use crate::api::state::Shop;
use crate::domain::ids::{SessionId, UserId};
use crate::store::Cart;
use crate::wire::pages::recommendation::{Recommendation, RecommendationType};

/// Products of one recommendation.
const COUNT: usize = 8;
/// Confidence where no figure says more than "people like this".
const PLAIN_CONFIDENCE: f64 = 0.3;
/// Confidence of products of the kinds that the shopper bought before.
const PERSONAL_CONFIDENCE: f64 = 0.5;

/// Whom it is for.
pub struct Shopper<'a> {
    pub user: &'a UserId,
    pub session: Option<&'a SessionId>,
    pub cart: Option<&'a Cart>,
}

/// What this shopper might like.
#[utoipa::path(get, path = "/api/ecommerce/recommendations/{userId}", tag = "products",
    params(("userId" = String, Path), ("sessionId" = Option<String>, Query, description =
        "whose cart and orders the recommendation may use")),
    responses((status = 200, body = Recommendation)))]
pub async fn read(
    State(shop): State<Arc<Shop>>,
    Path(user): Path<String>,
    parameters: Parsed,
) -> Result<Json<Recommendation>, Failure> {
    let user = UserId::new(&user)?;
    let session = Parameters::new(parameters)?.text("sessionId").map(SessionId::new).transpose()?;
    let cart = match &session {
        Some(session) => Some(shop.store.cart(session).await?),
        None => None,
    };
    Ok(Json(recommend(&shop, &Shopper { user: &user, session: session.as_ref(), cart: cart.as_ref() }).await))
}

/// What goes with a product: what was bought with it, then what is like it.
#[utoipa::path(get, path = "/api/ecommerce/recommendations/product/{id}", tag = "products", params(("id" = String, Path)),
    responses((status = 200, body = crate::wire::pages::recommendation::Related)))]
pub async fn of_product(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Result<Response, Failure> {
    let product = shop.catalog.entry(&id).ok_or_else(|| unknown(&id))?;
    let beside = shop.affinity.read().beside(std::slice::from_ref(&id));
    let mut products: Vec<Arc<Entry>> = beside.iter().filter_map(|(id, _)| shop.catalog.entry(id)).collect();
    let together = !products.is_empty();
    // Some that are like it are those that were bought with it.
    for alike in shop.catalog.like(product, COUNT + products.len()).await {
        if products.iter().all(|known| !known.is_same_product(&alike)) {
            products.push(alike);
        }
    }
    products.sort_by_key(|product| product.stock.units() == 0);
    products.truncate(COUNT);
    let kind = if together { RecommendationType::FrequentlyBoughtTogether } else { RecommendationType::SimilarItems };
    let ids: Vec<String> = products.iter().map(|product| product.product_id()).collect();
    let mut json = format!("{{\"productIds\":{},\"recommendationType\":{},\"products\":", json!(ids), json!(kind)).into_bytes();
    front::push_products(&mut json, &products);
    json.push(b'}');
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The best recommendation there is: what goes with the cart, what is like it, what is like earlier purchases, what sells.
pub async fn recommend(shop: &Shop, shopper: &Shopper<'_>) -> Recommendation {
    use RecommendationType::{FrequentlyBoughtTogether, Personalized, SimilarItems, TrendingNow};
    let affinity = shop.affinity.read();
    let in_cart: Vec<String> =
        shopper.cart.map_or_else(Vec::new, |cart| cart.lines.iter().map(|line| line.product_id.to_string()).collect());
    let beside = affinity.beside(&in_cart);
    let sold: Vec<String> = beside.iter().map(|(id, _)| id.to_string()).filter(|id| is_sold(shop, id)).take(COUNT).collect();
    if !sold.is_empty() {
        let confidence = beside.first().map_or(0.0, |(_, share)| share.min(1.0));
        return shopper.answer(shop, FrequentlyBoughtTogether, sold, confidence, "Often bought with what is in your cart");
    }
    let alike = like(shop, &in_cart).await;
    if !alike.is_empty() {
        return shopper.answer(shop, SimilarItems, alike, PLAIN_CONFIDENCE, "Like what is in your cart");
    }
    let bought = match shopper.session {
        // Without the database there is still what sells.
        Some(session) => shop.store.bought_in(session).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let personal = like(shop, &bought).await;
    if !personal.is_empty() {
        return shopper.answer(shop, Personalized, personal, PERSONAL_CONFIDENCE, "Like what you bought before");
    }
    let mut trending: Vec<String> = affinity.best_selling(COUNT).iter().map(ToString::to_string).collect();
    trending.retain(|id| is_sold(shop, id));
    let query = Query { sort: Sort::Popular, limit: COUNT, in_stock: Some(true), ..Query::default() };
    for id in shop.catalog.query(query).await.entries.iter().map(|entry| Listed::of(entry).product_id) {
        if trending.len() < COUNT && !trending.contains(&id) {
            trending.push(id);
        }
    }
    shopper.answer(shop, TrendingNow, trending, PLAIN_CONFIDENCE, "Popular in the shop now")
}

/// The best rated of the same categories, without these themselves.
async fn like(shop: &Shop, ids: &[String]) -> Vec<String> {
    let mut categories: Vec<Arc<str>> = Vec::new();
    for entry in ids.iter().filter_map(|id| shop.catalog.entry(id)) {
        if !categories.contains(&entry.category) {
            categories.push(entry.category.clone());
        }
    }
    let mut found: Vec<String> = Vec::new();
    for category in categories.iter().take(COUNT) {
        let share = COUNT / categories.len().clamp(1, COUNT);
        let query = Query {
            category: Some(category.to_string()),
            in_stock: Some(true),
            sort: Sort::Rating,
            limit: share + ids.len(),
            ..Query::default()
        };
        let entries = shop.catalog.query(query).await.entries;
        found.extend(entries.iter().map(|entry| Listed::of(entry).product_id).filter(|id| !ids.contains(id)).take(share));
    }
    found
}

fn is_sold(shop: &Shop, id: &str) -> bool {
    shop.catalog.entry(id).is_some_and(|entry| entry.stock.units() > 0)
}

impl Shopper<'_> {
    fn answer(
        &self,
        shop: &Shop,
        recommendation_type: RecommendationType,
        product_ids: Vec<String>,
        confidence: f64,
        reason: &str,
    ) -> Recommendation {
        Recommendation {
            recommendation_id: uuid::Uuid::new_v4().to_string(),
            user_id: self.user.to_string(),
            session_id: self.session.map(ToString::to_string),
            product_ids,
            recommendation_type,
            confidence: (confidence * 100.0).round() / 100.0,
            reason: reason.to_owned(),
            timestamp: shop.clock.now_ms(),
        }
    }
}
