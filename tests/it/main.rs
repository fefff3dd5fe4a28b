//! The integration tests in one binary: what the parts do together, from the outside.
//!
//! Every test waits for conditions, never for a time, and uses free ports and its own folders.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test stops where it fails, and prints what it measured; helpers stand outside #[test]"
)]

mod alarms;
mod anonymous;
mod api_operators;
mod api_search;
mod api_shop;
mod bad_input;
mod check_corruptions;
mod check_mutations;
mod check_unread;
mod cli_output;
mod console_actors;
mod console_live;
mod drill;
mod embedded_log;
mod engine_basics;
mod engine_bootstrap;
mod engine_faults;
mod engine_foreign_records;
mod engine_log_trouble;
mod engine_model;
mod engine_passivation;
mod engine_poison;
mod engine_stale;
mod hostile_catalogue;
mod kafka_broker;
mod kafka_foreign_records;
mod kafka_java;
mod kafka_permissions;
mod kafka_positions;
mod kafka_processes;
mod kafka_profiles;
mod kafka_secured;
mod kafka_trouble;
mod kafka_undecided;
mod log_conformance;
mod metrics;
mod operators_token;
mod order_way;
mod otel;
mod otel_signals;
mod replay;
mod search;
mod seats;
mod serve_log;
mod slow_readers;
mod socket_pages;
mod store_bad_rows;
mod store_carts;
mod store_checkout;
mod store_defaults;
mod store_migrations;
mod store_outcomes;
mod store_pooler;
mod store_private_places;
mod store_private_server;
mod store_rescue;
mod story_actors;
mod story_backup;
mod story_kill;
mod story_lost_log;
mod story_order;
mod story_pages;
mod story_roles;
mod story_trace;
mod story_wal;
mod story_wal_clocks;
mod story_wal_kills;
mod story_wal_tls;
mod story_ways_out;
mod support;
mod time_travel;
mod tracker_settles;
mod view_pages;
mod wal_alarms;
mod wal_faults;
mod wal_figures;
mod wal_frozen;
mod wal_passed_over;
mod wal_restart;
mod wal_slot;
mod wal_stream;
mod wal_traffic;
mod wal_visible;
mod web_guards;
mod web_ids;
mod web_storefront;
mod workshop;
mod workshop_exercises;
mod workshop_solve;
