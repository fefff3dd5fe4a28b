//! Every family of `/metrics`: its name, what it is, its unit and labels, and what it says. `docs/reference/metrics.md` is made from
//! this list (`make wire`).
//!
//! Names are without the `_total` that the exposition adds to counters. Labels are few and bounded: never a product, a session or
//! an order. Where several processes share a log or a database, families that say "of all processes" are the same in each: take
//! the maximum, not the sum.

use super::metrics::Kind::{self, Counter, Gauge, Histogram};

/// One family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    /// `seconds`, `bytes`, or in braces what is counted.
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident $name:literal $kind:ident $unit:literal [$($label:ident)*] $help:literal;)*) => {
        $(pub static $constant: Family =
            Family { name: $name, kind: $kind, unit: $unit, labels: &[$(stringify!($label)),*], help: $help };)*

        /// All of them, in the order of the documentation.
        pub static ALL: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    // The shop.
    ORDERS_PLACED "kartshoppe_orders_placed" Counter "{orders}" [way] "Orders that checkouts of this process placed, by the way their items are published";
    ORDERS "kartshoppe_orders" Counter "{orders}" [] "Orders that this process settled";
    ORDER_SETTLE_SECONDS "kartshoppe_order_settle_seconds" Histogram "seconds" []
        "From the checkout to the last outcome of the order, by the database's clock";
    ORDERS_PENDING "kartshoppe_orders_pending" Gauge "{orders}" [] "Orders of all processes that wait for outcomes, up to 100000 items' worth";
    ORDERS_PENDING_AGE_SECONDS "kartshoppe_orders_pending_oldest_age_seconds" Gauge "seconds" []
        "Age of the oldest order of all processes that waits for outcomes; 0 if none does";
    ORDER_ITEMS "kartshoppe_order_items" Counter "{items}" [fate]
        "Direct order items by what became of their publishing: published, publish-unclear or left-to-rescue";
    ORDER_ITEMS_PROBED "kartshoppe_order_items_probed" Counter "{items}" [] "Order items without an outcome that the inventory was asked about";
    ORDER_ITEMS_TAKEN_BACK "kartshoppe_order_items_taken_back" Counter "{items}" []
        "Order items of the WAL reader that the inventory was asked about, as it had long not handled them";
    ORDER_ITEMS_RESCUED "kartshoppe_order_items_rescued" Counter "{items}" [] "Order items that were given to the WAL reader";
    ORDER_OUTCOMES "kartshoppe_order_outcomes" Counter "{items}" [] "Order items whose outcome this process was the first to write";
    PROMISE_VIOLATIONS "kartshoppe_promise_violations" Counter "{violations}" [promise] "Broken promises that this process noticed: each is a bug";
    ALERTS "kartshoppe_alerts" Counter "{alerts}" [severity] "Alerts about products, by severity";

    // HTTP and pages.
    HTTP_DURATION "http_server_request_duration_seconds" Histogram "seconds" [listener http_request_method http_route http_response_status_code]
        "From a request's head to its answer";
    HTTP_ACTIVE "http_server_active_requests" Gauge "{requests}" [listener] "Requests being answered";
    CONNECTION_CUTS "kartshoppe_connection_cuts" Counter "{connections}" [cause] "Connections that were ended for others' sake";
    WAITING_BYTES "kartshoppe_waiting_output_bytes" Gauge "bytes" [] "Bytes that wait for readers, shared ones once, and lists kept packed for the next";
    PAGES "kartshoppe_pages" Gauge "{pages}" [] "Pages that are connected";
    FRAMES "kartshoppe_frames" Counter "{frames}" [kind] "Frames handed to pages' sockets: sync is a whole catalogue, update everything else";
    FRAMES_DROPPED "kartshoppe_frames_dropped" Counter "{frames}" [] "Frames for one session that gave way to newer ones as its pages did not read";
    FRAMES_COALESCED "kartshoppe_frames_coalesced" Counter "{frames}" []
        "Product changes that a page was spared, as a newer one of the same product was due";
    PAGE_RESYNCS "kartshoppe_page_resyncs" Counter "{pages}" [] "Times that a page fell so far behind that all products were looked through for it";
    PAGE_TOLD_SECONDS "kartshoppe_page_told_seconds" Histogram "seconds" [frame]
        "From the event to its frame at a page's socket: product counts from the append of the event, order from the checkout";
    PUSH_PENDING_SECONDS "kartshoppe_push_pending_seconds" Gauge "seconds" [] "Age of the oldest product change that was not brought to pages yet; 0 if none waits or no page is connected";
    PAGE_MESSAGES "kartshoppe_page_messages" Counter "{messages}" [outcome] "Messages from pages";
    PAGE_CUTS "kartshoppe_page_cuts" Counter "{pages}" [cause] "Pages that were disconnected; slow and stalled ones did not read";
    TRACKED "kartshoppe_tracked" Counter "{events}" [outcome] "Tracked events and changed carts";

    // The inventory.
    INPUTS "kartshoppe_inventory_inputs" Counter "{records}" [outcome] "Inputs by what became of them";
    DEAD_LETTERS "kartshoppe_dead_letters" Counter "{records}" [topic reason] "Committed dead letters by source topic and kind of failure";
    COMMITS "kartshoppe_inventory_commits" Counter "{commits}" [result] "Commits by result";
    COMMIT_SECONDS "kartshoppe_inventory_commit_seconds" Histogram "seconds" [] "How long commits took";
    COMMIT_RECORDS "kartshoppe_inventory_commit_records" Histogram "{records}" [] "Output records of a commit";
    EVENT_AGE_SECONDS "kartshoppe_inventory_event_age_seconds" Histogram "seconds" []
        "From the append of a commit's oldest record to the commit; one sample per commit, none while commits stand still";
    PRODUCTS "kartshoppe_inventory_products" Gauge "{products}" [state] "Products of this process: live ones have an actor";
    PASSIVATIONS "kartshoppe_inventory_passivations" Counter "{products}" [] "Products passivated";
    STALE_TARDINESS_SECONDS "kartshoppe_inventory_stale_tardiness_seconds" Histogram "seconds" [] "From a stale deadline to its event";
    RESTORE_SECONDS "kartshoppe_inventory_restore_seconds" Histogram "seconds" [] "How long a partition's restore took";

    // The event log and its readers.
    READER_LAG_RECORDS "kartshoppe_reader_lag_records" Gauge "{records}" [reader topic]
        "Records before the end of the topic that the reader has not passed, measured every few seconds, with or without a reader";
    READER_LAG_SECONDS "kartshoppe_reader_lag_seconds" Gauge "seconds" [reader topic]
        "Age of the oldest record that the reader has not passed, or of the last answer while the log does not answer";
    LOG_SETBACKS "kartshoppe_log_setbacks" Counter "{sessions}" [kind] "Sessions on the event log that were made again or came too late";
    LOG_BYTES "kartshoppe_log_bytes" Gauge "bytes" [] "Size of the embedded event log's file";
    LOG_WAL_BYTES "kartshoppe_log_wal_bytes" Gauge "bytes" [] "Size of the embedded event log's write-ahead file, which a checkpoint empties";
    DISK_FREE_BYTES "kartshoppe_disk_free_bytes" Gauge "bytes" [] "Bytes that the disk of the data directory has left for this process";
    KAFKA_RECEIVED "kafka_client_received_bytes" Counter "bytes" [client] "Bytes received from brokers, by kind of client";
    KAFKA_SENT "kafka_client_sent_bytes" Counter "bytes" [client] "Bytes sent to brokers, by kind of client";
    KAFKA_REQUEST_ERRORS "kafka_client_errors" Counter "{errors}" [client kind] "Requests to brokers that failed or timed out, and connections that ended";
    KAFKA_CONNECTS "kafka_client_connects" Counter "{connections}" [client] "Connections to brokers that were tried";
    KAFKA_QUEUED "kafka_client_queued_records" Gauge "{records}" [client] "Records in a producer's queue, not sent or not acknowledged";
    KAFKA_WAITING "kafka_client_waiting_requests" Gauge "{requests}" [client] "Requests that wait to be sent or to be answered";
    KAFKA_RTT "kafka_client_round_trip_seconds" Gauge "seconds" [client] "Largest mean round trip to a broker in the last five seconds";
    KAFKA_CLIENTS "kafka_clients" Gauge "{clients}" [client] "Clients that have reported within the last 30 seconds";

    // Change data capture.
    CDC_ROWS "kartshoppe_cdc_rows" Counter "{rows}" [] "Order items published from the WAL";
    CDC_LAG_BYTES "kartshoppe_cdc_lag_bytes" Gauge "bytes" [] "WAL that has not come through, with or without a reader";
    CDC_LAG_SECONDS "kartshoppe_cdc_lag_seconds" Gauge "seconds" [] "Age of the oldest WAL that has not come through, or of the last answer";
    CDC_RETAINED_BYTES "kartshoppe_cdc_retained_bytes" Gauge "bytes" [] "WAL that the slot makes PostgreSQL keep";
    CDC_SAFE_BYTES "kartshoppe_cdc_safe_bytes" Gauge "bytes" [] "WAL until PostgreSQL gives the slot up; absent without a limit";
    CDC_SLOT "kartshoppe_cdc_slot" Gauge "{slots}" [state] "1 for the state of the slot, with any reader";
    CDC_STATE "kartshoppe_cdc_state" Gauge "{readers}" [state] "1 for the state that the WAL reader is in";
    CDC_ALARM "kartshoppe_cdc_alarm" Gauge "{alarms}" [alarm] "1 for the alarm that keeps the WAL reader from reading";

    // PostgreSQL.
    SQL_CONNECTIONS "kartshoppe_sql_connections" Gauge "{connections}" [state] "Connections of the pool";
    SQL_CONNECTIONS_MAX "kartshoppe_sql_connections_max" Gauge "{connections}" [] "Connections that the pool may have";
    SQL_CALLS_ACTIVE "kartshoppe_sql_calls_active" Gauge "{calls}" [] "Calls under way, with those that wait for a connection";
    SQL_CALL_SECONDS "kartshoppe_sql_call_seconds" Histogram "seconds" [outcome] "How long calls took, with the wait for a connection";

    // Actors.
    ACTORS "kartshoppe_actors" Gauge "{actors}" [kind] "Actors that run";
    ACTORS_FAILING "kartshoppe_actors_failing" Gauge "{actors}" [kind] "Actors that keep ending, so that they are restarted at the longest backoff";
    ACTOR_MAILBOX_DEPTH "kartshoppe_actor_mailbox_depth" Gauge "{messages}" [kind actor] "Messages that wait or are handled, by actor";
    ACTOR_MAILBOX_WAIT_SECONDS "kartshoppe_actor_mailbox_wait_seconds" Histogram "seconds" [kind]
        "How long messages waited before they were handled; of each actor one message at a time is measured";
    ACTOR_HANDLING_SECONDS "kartshoppe_actor_handling_seconds" Histogram "seconds" [kind] "How long the handling of a message took; products are not measured";
    ACTOR_RESTARTS "kartshoppe_actor_restarts" Counter "{ends}" [kind actor cause] "Ends of actors that a restart followed, by cause; a stop on purpose is none";
    ACTOR_RECOVERY_SECONDS "kartshoppe_actor_recovery_seconds" Gauge "seconds" [kind actor] "From an actor's last end to its successor";
    PRODUCT_RESTARTS "kartshoppe_product_restarts" Counter "{ends}" [cause] "Ends of product actors by cause";
    PRODUCT_RECOVERY_SECONDS "kartshoppe_product_recovery_seconds" Histogram "seconds" [] "From a product's end with work in hand to its successor";

    // Health and telemetry.
    READY "kartshoppe_ready" Gauge "{processes}" [] "1 while nothing speaks against sending work here, as /readyz last found it";
    ALARM "kartshoppe_alarm" Gauge "{alarms}" [cause topic partition] "Alarms that stand; the log and /readyz say more";
    ALARMS "kartshoppe_alarms" Counter "{alarms}" [alarm] "Alarms that a human must look at; the log says more";
    LOG_LINES_DROPPED "kartshoppe_log_lines_dropped" Counter "{lines}" [target] "Log lines that were dropped because their target did not take them in time";
    SPANS_EXPORTED "kartshoppe_telemetry_spans_exported" Counter "{spans}" [] "Spans that the collector took";
    SPANS_DROPPED "kartshoppe_telemetry_spans_dropped" Counter "{spans}" [reason] "Spans that did not reach the collector, by reason";

    // The process.
    BUILD_INFO "kartshoppe_build_info" Gauge "{builds}" [version profile log] "1, with what was built and which event log it uses";
    PROCESS_CPU "process_cpu_seconds" Counter "seconds" [] "Processor time of the process, user and system";
    PROCESS_START "process_start_time_seconds" Gauge "seconds" [] "When the process started, since the epoch";
    PROCESS_RESIDENT "process_resident_memory_bytes" Gauge "bytes" [] "Resident memory";
    PROCESS_VIRTUAL "process_virtual_memory_bytes" Gauge "bytes" [] "Virtual memory";
    PROCESS_FDS "process_open_fds" Gauge "{descriptors}" [] "Open file descriptors";
    PROCESS_MAX_FDS "process_max_fds" Gauge "{descriptors}" [] "File descriptors that may be open";
    PROCESS_THREADS "process_threads" Gauge "{threads}" [] "Threads of the process";
    RUNTIME_WORKERS "tokio_workers" Gauge "{threads}" [] "Worker threads of the runtime";
    RUNTIME_TASKS "tokio_alive_tasks" Gauge "{tasks}" [] "Tasks that have not ended";
    RUNTIME_QUEUE "tokio_global_queue_depth" Gauge "{tasks}" [] "Tasks that wait for any worker";
    RUNTIME_BUSY "tokio_workers_busy_seconds" Counter "seconds" [] "Time that workers were busy, all together";
}

impl Family {
    /// As the exposition names its samples' family: counters end with `_total`.
    #[must_use]
    pub fn exposed_name(&self) -> String {
        if self.kind == Counter { format!("{}_total", self.name) } else { self.name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_follow_the_conventions() {
        let names: BTreeSet<_> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Family { name, kind, unit, labels, help } in ALL {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()), "{name}");
            assert!(!name.ends_with("_total") && !name.ends_with("_info") || *name == BUILD_INFO.name, "{name}");
            for known in ["seconds", "bytes"] {
                assert_eq!(*unit == known, name.ends_with(&format!("_{known}")), "{name} and its unit");
            }
            assert!(matches!(*unit, "seconds" | "bytes") || (unit.starts_with('{') && unit.ends_with('}')), "{name}");
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}: the exposition adds the full stop");
            let secret = ["product", "session", "order", "user", "id", "trace"];
            assert!(labels.iter().all(|label| !secret.contains(label)), "{name}: {labels:?}");
            assert!(*kind != Histogram || *unit != "bytes", "{name}: sizes need buckets of their own");
        }
    }

    #[test]
    fn metrics_reference_is_current() {
        let mut page = "# Metrics\n\nGenerated from `src/telemetry/families.rs` by `make wire`. What they answer: \
                        [observability.md](../observability.md).\n\nWhere several processes share a log or a database, figures \
                        \"of all processes\" and the lag of readers are the same in each: take their maximum, not their sum.\n\n\
                        | metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n"
            .to_owned();
        for family in ALL {
            let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
            let (name, kind) = (family.exposed_name(), family.kind.as_str());
            page.push_str(&format!("| `{name}` | {kind} | {} | {labels} | {} |\n", family.unit, family.help));
        }
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/metrics.md");
        if let Some(folder) = std::env::var_os("REFERENCE_DIR") {
            std::fs::write(std::path::Path::new(&folder).join("metrics.md"), &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(committed).unwrap_or_default(), page, "make wire");
    }
}
