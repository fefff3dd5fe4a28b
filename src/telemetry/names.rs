//! The names of spans. Spelt once, here; those of metrics in [`super::families`].
//!
//! Attributes follow OpenTelemetry semantic conventions 1.44 where there is one; ours begin with `kartshoppe.`. Log fields use
//! the same spelling.

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
