//! The names of spans and metrics. Spelt once, here.
//!
//! Attributes follow OpenTelemetry semantic conventions 1.44 where there is one; ours begin with `kartshoppe.`. Log fields use
//! the same spelling. Metrics are counted by kind, never by product: their number must not grow with the catalogue.

/// Span names, in the order in which one purchase passes them.
pub mod span {
    /// HTTP server span: `{method} {route}`; this is only the tracing name.
    pub const HTTP_REQUEST: &str = "http.request";
    pub const CHECKOUT: &str = "checkout";
    pub const ORDER_INSERT: &str = "INSERT orders";
    pub const ORDER_PUBLISH: &str = "send order-events";
    pub const WAL_READ: &str = "wal.read";
    pub const PRODUCT_APPLY: &str = "product.apply";
    pub const INVENTORY_COMMIT: &str = "inventory.commit";
    pub const FANOUT_PUSH: &str = "fanout.push";
    pub const ORDER_SETTLE: &str = "order.settle";
}

/// Metric names, without the `_total` that the exposition adds to counters.
pub mod metric {
    pub const INPUTS: &str = "kartshoppe_inventory_inputs";
    pub const COMMITS: &str = "kartshoppe_inventory_commits";
    pub const COMMIT_SECONDS: &str = "kartshoppe_inventory_commit_seconds";
    pub const COMMIT_RECORDS: &str = "kartshoppe_inventory_commit_records";
    pub const EVENT_AGE_SECONDS: &str = "kartshoppe_inventory_event_age_seconds";
    pub const PRODUCTS: &str = "kartshoppe_inventory_products";
    pub const PASSIVATIONS: &str = "kartshoppe_inventory_passivations";
    pub const STALE_TARDINESS_SECONDS: &str = "kartshoppe_inventory_stale_tardiness_seconds";
    pub const RESTORE_SECONDS: &str = "kartshoppe_inventory_restore_seconds";
    pub const ACTOR_RECOVERY_SECONDS: &str = "kartshoppe_actor_recovery_seconds";
    pub const PRODUCT_RECOVERY_SECONDS: &str = "kartshoppe_product_recovery_seconds";
    pub const LOG_SETBACKS: &str = "kartshoppe_log_setbacks";
    pub const ACTOR_RESTARTS: &str = "kartshoppe_actor_restarts";
    pub const PRODUCT_RESTARTS: &str = "kartshoppe_product_restarts";
    pub const ACTOR_MAILBOX_DEPTH: &str = "kartshoppe_actor_mailbox_depth";
    pub const HTTP_DURATION: &str = "http_server_request_duration_seconds";
    pub const HTTP_ACTIVE: &str = "http_server_active_requests";
    pub const WAITING_BYTES: &str = "kartshoppe_waiting_output_bytes";
    pub const CONNECTION_CUTS: &str = "kartshoppe_connection_cuts";
    pub const PAGES: &str = "kartshoppe_pages";
    pub const FRAMES: &str = "kartshoppe_frames";
    pub const PAGE_MESSAGES: &str = "kartshoppe_page_messages";
    pub const PAGE_CUTS: &str = "kartshoppe_page_cuts";
    pub const TRACKED: &str = "kartshoppe_tracked";
    pub const ORDERS: &str = "kartshoppe_orders";
    pub const ORDER_ITEMS: &str = "kartshoppe_order_items";
    pub const CDC_ROWS: &str = "kartshoppe_cdc_rows";
    pub const CDC_LAG_BYTES: &str = "kartshoppe_cdc_lag_bytes";
    pub const CDC_LAG_SECONDS: &str = "kartshoppe_cdc_lag_seconds";
    pub const CDC_RETAINED_BYTES: &str = "kartshoppe_cdc_retained_bytes";
    pub const CDC_SAFE_BYTES: &str = "kartshoppe_cdc_safe_bytes";
    pub const CDC_SLOT: &str = "kartshoppe_cdc_slot";
    pub const CDC_STATE: &str = "kartshoppe_cdc_state";
    pub const CDC_ALARM: &str = "kartshoppe_cdc_alarm";
    pub const ALARM: &str = "kartshoppe_alarm";
    pub const ALARMS: &str = "kartshoppe_alarms";
    pub const LOG_LINES_DROPPED: &str = "kartshoppe_log_lines_dropped";
    pub const ALERTS: &str = "kartshoppe_alerts";
}
