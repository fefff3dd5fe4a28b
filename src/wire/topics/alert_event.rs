//! The AlertEvent on `inventory-alerts`. Written by the inventory, read by the alert desk.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::Topic;
use super::output;
use crate::domain::EpochMs;
use crate::domain::inventory::{Alert, Cause};
use crate::telemetry::context::TraceContext;
use crate::wire::invalid::Invalid;
use crate::wire::json;
use crate::wire::topics::record::NewRecord;

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertEvent {
    /// `LOW_STOCK`, `OUT_OF_STOCK` or `PRICE_DROP`; other programs may write more.
    pub alert_type: String,
    pub product_id: String,
    pub message: String,
    /// `INFO`, `WARNING` or `CRITICAL`.
    pub severity: String,
    pub timestamp: EpochMs,
}

impl From<&Alert> for AlertEvent {
    fn from(alert: &Alert) -> Self {
        Self {
            alert_type: alert.type_name().to_owned(),
            product_id: alert.product_id.to_string(),
            message: alert.message(),
            severity: alert.severity().as_str().to_owned(),
            timestamp: alert.at_ms,
        }
    }
}

/// The record of an alert: keyed by its product, with its cause and trace.
#[must_use]
pub fn record(alert: &Alert, cause: &Cause, trace: Option<&TraceContext>) -> NewRecord {
    let headers = output::output_headers(cause, trace);
    output::keyed(Topic::InventoryAlerts, &alert.product_id, &AlertEvent::from(alert), headers)
}

/// Reads an alert.
///
/// # Errors
/// [`Invalid`] if it is not a JSON object with all five fields.
pub fn decode(value: &[u8]) -> Result<AlertEvent, Invalid> {
    json::from_slice(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ProductId, Stock};
    use crate::domain::inventory::{AlertKind, Severity};
    use crate::domain::money::Cents;

    #[test]
    fn alerts_are_written_as_the_contract_says() {
        let low = AlertKind::LowStock { left: Stock::new(4).unwrap(), severity: Severity::Critical };
        let drop = AlertKind::PriceDrop { from: Cents::new(10_000).unwrap(), to: Cents::new(9_000).unwrap() };
        let written = |kind| {
            let alert = Alert { product_id: ProductId::new("PROD_0001").unwrap(), kind, at_ms: 1_732_500_000_000 };
            let value = record(&alert, &Cause::File { index: 3 }, None).value.unwrap();
            assert_eq!(decode(&value), Ok(AlertEvent::from(&alert)));
            String::from_utf8(value.to_vec()).unwrap()
        };
        insta::assert_snapshot!(written(low), @r#"{"alertType":"LOW_STOCK","productId":"PROD_0001","message":"Low stock: only 4 items remaining","severity":"CRITICAL","timestamp":1732500000000}"#);
        insta::assert_snapshot!(written(AlertKind::OutOfStock), @r#"{"alertType":"OUT_OF_STOCK","productId":"PROD_0001","message":"Product is out of stock","severity":"CRITICAL","timestamp":1732500000000}"#);
        insta::assert_snapshot!(written(drop), @r#"{"alertType":"PRICE_DROP","productId":"PROD_0001","message":"Price dropped 10.0% from $100.00 to $90.00","severity":"INFO","timestamp":1732500000000}"#);
    }
}
