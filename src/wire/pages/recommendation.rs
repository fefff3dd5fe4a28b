//! What a shopper might like: `GET /api/ecommerce/recommendations/{userId}`, and the frame of the same name.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::wire::product::ProductBody;

/// Some products, and why these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recommendation {
    pub recommendation_id: String,
    pub user_id: String,
    /// Null where it is not for one session.
    pub session_id: Option<String>,
    pub product_ids: Vec<String>,
    pub recommendation_type: RecommendationType,
    /// 0 to 1.
    pub confidence: f64,
    /// For the shopper.
    pub reason: String,
    pub timestamp: EpochMs,
}

/// What the products were chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecommendationType {
    FrequentlyBoughtTogether,
    SimilarItems,
    TrendingNow,
    Personalized,
}

/// What goes with one product: `GET /api/ecommerce/recommendations/product/{id}`. The same products twice: their ids, and whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Related<'a> {
    pub product_ids: &'a [&'a str],
    pub recommendation_type: RecommendationType,
    pub products: &'a [ProductBody<'a>],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recommendation_is_written_as_the_contract_says() {
        let recommendation = Recommendation {
            recommendation_id: "r-1".to_owned(),
            user_id: "guest".to_owned(),
            session_id: None,
            product_ids: vec!["MUG".to_owned()],
            recommendation_type: RecommendationType::FrequentlyBoughtTogether,
            confidence: 0.5,
            reason: "Often bought with your mug".to_owned(),
            timestamp: 5,
        };
        insta::assert_snapshot!(serde_json::to_string(&recommendation).unwrap(), @r#"{"recommendationId":"r-1","userId":"guest","sessionId":null,"productIds":["MUG"],"recommendationType":"FREQUENTLY_BOUGHT_TOGETHER","confidence":0.5,"reason":"Often bought with your mug","timestamp":5}"#);
    }
}
