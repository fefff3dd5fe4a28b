//! What runs behind the page: `GET /api/ecommerce/status`, and part of every heartbeat.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;

/// What runs behind the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub inventory: RunState,
    pub cdc: RunState,
    /// When the inventory's state began, in epoch milliseconds.
    pub since: Option<EpochMs>,
    pub catalog: CatalogState,
    /// Whether spans are exported.
    pub tracing: bool,
    /// Whether pages are to send spans of their own.
    pub browser_tracing: bool,
    /// Stock from 1 to this is low, in units.
    pub low_stock: i64,
}

/// Whether a role runs anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    Stopped,
    /// The log could not be asked.
    Unknown,
}

/// How much of the catalogue this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatalogState {
    /// Read to the end, and there is no product.
    Empty,
    /// Still reading.
    Restoring,
    Live,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_written_as_the_contract_says() {
        let status = Status {
            inventory: RunState::Running,
            cdc: RunState::Stopped,
            since: None,
            catalog: CatalogState::Restoring,
            tracing: true,
            browser_tracing: false,
            low_stock: 9,
        };
        insta::assert_snapshot!(serde_json::to_string(&status).unwrap(), @r#"{"inventory":"running","cdc":"stopped","since":null,"catalog":"restoring","tracing":true,"browserTracing":false,"lowStock":9}"#);
    }
}
