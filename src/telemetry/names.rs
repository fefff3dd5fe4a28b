//! The names of spans. Spelt once, here; those of metrics in [`super::families`].
//!
//! Attributes follow OpenTelemetry semantic conventions 1.44 where there is one; ours begin with `kartshoppe.`. Log fields use
//! the same spelling.

/// Span names. Those of requests, statements and records are `{method} {route}`, `{operation} {table}` and `{operation} {topic}`.
pub mod span {
    pub const CHECKOUT: &str = "checkout";
    pub const CART_SELECT: &str = "SELECT carts";
    pub const CART_UPSERT: &str = "INSERT carts";
    pub const ORDER_INSERT: &str = "INSERT orders";
    pub const ORDER_SELECT: &str = "SELECT orders";
    pub const OUTCOME_UPDATE: &str = "UPDATE order_items";
    pub const ORDER_SEND: &str = "send order-events";
    pub const ORDER_POLL: &str = "poll order-events";
    pub const UPDATE_POLL: &str = "poll product-updates";
    pub const ORDER_PROCESS: &str = "process order-events";
    pub const UPDATE_PROCESS: &str = "process product-updates";
    pub const PRODUCT_APPLY: &str = "product.apply";
    /// The commit of one record, in its own trace.
    pub const RECORD_COMMIT: &str = "record.commit";
    /// The commit of a whole batch, a trace of its own.
    pub const INVENTORY_COMMIT: &str = "inventory.commit";
    pub const FANOUT_PUSH: &str = "fanout.push";
    pub const ORDER_SETTLE: &str = "order.settle";
    pub const PAGE_MESSAGE: &str = "page.message";
    pub const CLICK_CHECKOUT: &str = "click checkout";
    pub const REPAINT_PRODUCT: &str = "repaint product";

    /// Every span, for the documentation: name, kind, role, what it stands for.
    pub const ALL: &[(&str, &str, &str, &str)] = &[
        ("{method} {route}", "SERVER", "api", "a request, until its answer begins; `{method}` alone where no route answers"),
        (CHECKOUT, "INTERNAL", "api", "a checkout, from the priced cart to the answer"),
        (CART_SELECT, "CLIENT", "api", "the cart, and whether the key is known, is read"),
        (CART_UPSERT, "CLIENT", "api", "a changed cart is kept"),
        (
            ORDER_INSERT,
            "CLIENT",
            "api",
            "the statement that writes order and items, and its commit; shared by checkouts that meet",
        ),
        (ORDER_SELECT, "CLIENT", "api", "orders are read"),
        (
            ORDER_SEND,
            "PRODUCER",
            "api, cdc",
            "order items on their way to the log, until it has answered; from `cdc` for rows that came through the WAL",
        ),
        (ORDER_POLL, "CLIENT", "inventory", "one order item on its way from its append to the log until it is decoded"),
        (UPDATE_POLL, "CLIENT", "inventory", "one product update on that way, where it came with a trace"),
        (ORDER_PROCESS, "CONSUMER", "inventory", "one order item, from its decoding until its commit"),
        (UPDATE_PROCESS, "CONSUMER", "inventory", "one product update, from its decoding until its commit"),
        (PRODUCT_APPLY, "INTERNAL", "inventory", "the product's actor applies the command"),
        (RECORD_COMMIT, "INTERNAL", "inventory", "the commit as this record sees it; linked with the batch's span"),
        (
            INVENTORY_COMMIT,
            "INTERNAL",
            "inventory",
            "the commit of a batch: a trace of its own, linked with every sampled record in it",
        ),
        (
            FANOUT_PUSH,
            "INTERNAL",
            "api",
            "a product's change, from the journal until the first page's socket has taken its frame",
        ),
        (ORDER_SETTLE, "INTERNAL", "api", "an outcome is written down and shown to the session's pages"),
        (OUTCOME_UPDATE, "CLIENT", "api", "the transaction that writes outcomes"),
        (PAGE_MESSAGE, "SERVER", "api", "a message of a page that changes its cart"),
        (CLICK_CHECKOUT, "INTERNAL", "browser", "from the click that orders until the answer is there"),
        (REPAINT_PRODUCT, "INTERNAL", "browser", "from a product's frame until the page is drawn with it"),
    ];
}

/// Attribute names. Those without our prefix are semantic conventions 1.44.
pub mod attribute {
    pub const ERROR_TYPE: &str = "error.type";
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    pub const HTTP_ROUTE: &str = "http.route";
    pub const URL_PATH: &str = "url.path";
    pub const URL_SCHEME: &str = "url.scheme";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    pub const DB_SYSTEM_NAME: &str = "db.system.name";
    pub const DB_NAMESPACE: &str = "db.namespace";
    pub const DB_OPERATION_NAME: &str = "db.operation.name";
    pub const DB_COLLECTION_NAME: &str = "db.collection.name";
    pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
    pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
    pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
    pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
    pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
    pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
    pub const ORDER_ID: &str = "kartshoppe.order.id";
    pub const PRODUCT_ID: &str = "kartshoppe.product.id";
    pub const PAGES: &str = "kartshoppe.pages";
    pub const PG_LSN: &str = "kartshoppe.pg.lsn";
    pub const ROLE: &str = "kartshoppe.role";
    pub const DRILL_ID: &str = "kartshoppe.drill.id";
    pub const PAGE_ACTION: &str = "kartshoppe.page.action";

    /// Every attribute of spans and resources, for the documentation: name, type, what it says.
    pub const ALL: &[(&str, &str, &str)] = &[
        (ERROR_TYPE, "string", "why it failed: a status code from 500 on, an SQLSTATE or the kind of error"),
        (HTTP_REQUEST_METHOD, "string", "`_OTHER` for a method that HTTP does not know"),
        (HTTP_RESPONSE_STATUS_CODE, "int", "the answer's status"),
        (HTTP_ROUTE, "string", "the route's template; absent where no route answers"),
        (URL_PATH, "string", "the route's template, never the path itself, which may hold a session's id"),
        (URL_SCHEME, "string", "`http`: TLS ends before the shop"),
        (SERVER_ADDRESS, "string", "the host that the request names; of a statement the database's host or socket directory"),
        (SERVER_PORT, "int", "its port, where it is named; of a statement where it is not PostgreSQL's own"),
        (NETWORK_PROTOCOL_VERSION, "string", "of HTTP"),
        (DB_SYSTEM_NAME, "string", "`postgresql`"),
        (DB_NAMESPACE, "string", "the database"),
        (DB_OPERATION_NAME, "string", "the statement's operation"),
        (DB_COLLECTION_NAME, "string", "the table"),
        (DB_QUERY_SUMMARY, "string", "operation and table, as the span is called"),
        (DB_RESPONSE_STATUS_CODE, "string", "the SQLSTATE of a refusal"),
        (MESSAGING_SYSTEM, "string", "`kafka`, or `kartshoppe` for the embedded log"),
        (MESSAGING_OPERATION_NAME, "string", "`send`, `poll` or `process`"),
        (MESSAGING_OPERATION_TYPE, "string", "`send`, `receive` or `process`"),
        (MESSAGING_DESTINATION_NAME, "string", "the topic"),
        (MESSAGING_DESTINATION_PARTITION_ID, "string", "the partition"),
        (MESSAGING_CONSUMER_GROUP_NAME, "string", "the group that commits the positions"),
        (MESSAGING_BATCH_MESSAGE_COUNT, "int", "records, where there are several"),
        (MESSAGING_KAFKA_OFFSET, "int", "the record's offset"),
        (ORDER_ID, "string", "the order"),
        (PRODUCT_ID, "string", "the product"),
        (PAGES, "int", "connected pages of the process"),
        (PG_LSN, "string", "where in the WAL the row was committed"),
        (ROLE, "string", "of the resource: `api`, `inventory`, `cdc` or `browser`"),
        (DRILL_ID, "string", "of the resource: the drill that the process belongs to"),
        (PAGE_ACTION, "string", "what the page's message asks for"),
    ];
}

#[cfg(test)]
mod tests {
    use super::{attribute, span};

    #[test]
    fn every_span_and_attribute_is_documented() {
        let doc = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md")).unwrap();
        let spans = span::ALL.iter().map(|(name, kind, role, meaning)| format!("| `{name}` | {kind} | {role} | {meaning} |"));
        let attributes = attribute::ALL.iter().map(|(name, kind, meaning)| format!("| `{name}` | {kind} | {meaning} |"));
        for row in spans.chain(attributes) {
            assert!(doc.lines().any(|line| line == row), "docs/observability.md lacks: {row}");
        }
    }
}
