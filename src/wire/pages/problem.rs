//! An error as REST answers it: RFC 9457, with a `code` for programs and a `traceId` for people who ask why.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::cart::Cart;

/// RFC 9457 problem with a stable `code`, and the trace that explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `about:blank`: the code says which problem it is.
    #[serde(rename = "type", default = "about_blank")]
    pub problem_type: String,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub detail: Option<String>,
    /// Snake case: `empty_cart`, `total_changed`, `unknown_product`, …
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub trace_id: Option<String>,
    /// With `total_changed`: the cart as it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cart: Option<Cart>,
    /// With `product_gone`: the product that was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub product_id: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_no_more_than_it_knows() {
        let plain: Problem =
            serde_json::from_value(serde_json::json!({"title": "The cart is empty", "status": 400, "code": "empty_cart"}))
                .unwrap();
        insta::assert_snapshot!(serde_json::to_string(&plain).unwrap(), @r#"{"type":"about:blank","title":"The cart is empty","status":400,"code":"empty_cart"}"#);
        let full = Problem {
            detail: Some("why".to_owned()),
            trace_id: Some("4b".to_owned()),
            product_id: Some("MUG".to_owned()),
            ..plain
        };
        insta::assert_snapshot!(serde_json::to_string(&full).unwrap(), @r#"{"type":"about:blank","title":"The cart is empty","status":400,"detail":"why","code":"empty_cart","traceId":"4b","productId":"MUG"}"#);
    }
}
