//! What a page sends over its WebSocket, as types: for `ui/src/wire` and for the reference.
//!
//! [`super::client_message`] reads more than this by hand: it also takes the forms that the existing client sends.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use super::tracked_event::TrackedEvent;

/// Changes the cart of the connection's session. Every connection of the session gets the new cart as `SHOPPING_CART`.
#[derive(Serialize, TS, ToSchema)]
pub(crate) struct CartUpdate {
    #[serde(rename = "type")]
    #[ts(inline)]
    #[schema(inline)]
    pub kind: CartUpdateType,
    #[ts(inline)]
    #[schema(inline)]
    pub action: CartAction,
    #[ts(inline)]
    #[schema(inline)]
    pub payload: CartTarget,
}

#[derive(Serialize, TS, ToSchema)]
pub(crate) enum CartUpdateType {
    #[serde(rename = "CART_UPDATE")]
    CartUpdate,
}

/// What happens to the line of `payload.productId`; `CLEAR` empties the cart.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum CartAction {
    Add,
    Remove,
    UpdateQuantity,
    Clear,
}

/// Further fields are ignored: name, price and picture are the catalogue's.
#[derive(Default, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CartTarget {
    /// Needed but for `CLEAR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub product_id: Option<String>,
    /// Units, at most 1000. To add: 1 if it is left out. For `UPDATE_QUANTITY`: the line's quantity from now on, 0 or less
    /// removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub quantity: Option<i64>,
}

/// Reports what the shopper did. The fields of the event may also stand beside `type`.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageEvent {
    #[serde(rename = "type")]
    #[schema(inline)]
    pub kind: PageEventType,
    pub payload: TrackedEvent,
}

#[derive(Serialize, ToSchema)]
pub(crate) enum PageEventType {
    #[serde(rename = "EVENT")]
    Event,
}

/// Asks for a recommendation; the answer is a `RECOMMENDATION` frame.
#[derive(Serialize, ToSchema)]
pub(crate) struct GetRecommendations {
    #[serde(rename = "type")]
    #[schema(inline)]
    pub kind: GetRecommendationsType,
}

#[derive(Serialize, ToSchema)]
pub(crate) enum GetRecommendationsType {
    #[serde(rename = "GET_RECOMMENDATIONS")]
    GetRecommendations,
}
