//! The whole catalogue: `GET /api/ecommerce/inventory/state`.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::wire::product::ProductBody;

/// All products, never a page of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryState<'a> {
    pub products: &'a [ProductBody<'a>],
    pub total_products: usize,
    pub timestamp: EpochMs,
    /// Distinct, as the products spell them.
    pub categories: &'a [&'a str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_written_as_the_contract_says() {
        let state = InventoryState { products: &[], total_products: 0, timestamp: 5, categories: &["Home"] };
        insta::assert_snapshot!(serde_json::to_string(&state).unwrap(), @r#"{"products":[],"totalProducts":0,"timestamp":5,"categories":["Home"]}"#);
    }
}
