//! Every cause of an alarm is provoked once on the real shop, seen wherever it must be told, and seen to be over with its cause.
//!
//! [`provoked_in`] is the table: a cause without a row does not compile. The rows stand by the room that the cause is of.

mod actors;
mod database;
mod kafka;
mod log;

use std::collections::BTreeSet;
use std::path::Path;

use kartshoppe::telemetry::alarms::Cause;

/// The test that provokes a cause: file below `tests/it/`, and function.
fn provoked_in(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::ProcessStarting | Cause::ProcessStopping => ("alarms/actors.rs", "a_start_and_a_stop_are_told"),
        Cause::RoleStarting => ("alarms/actors.rs", "an_actor_that_is_away_is_told_until_it_is_back"),
        Cause::RoleFailing => ("alarms/actors.rs", "an_actor_that_keeps_ending_is_told_until_it_runs_again"),
        Cause::InputStalled | Cause::ItemsUnsettled => {
            ("alarms/actors.rs", "a_committer_that_hangs_is_told_by_what_stands_still")
        }
        Cause::CatalogueStalled => ("alarms/actors.rs", "a_read_model_that_hangs_is_told_by_what_stands_still"),
        Cause::CatalogueRestoring => ("alarms/actors.rs", "a_read_model_that_is_being_read_is_told"),
        Cause::TrackerStalled => ("alarms/actors.rs", "a_tracker_that_hangs_is_told_by_what_stands_still"),
        Cause::FanoutStalled => ("alarms/actors.rs", "a_fan_out_that_hangs_is_told_by_what_stands_still"),
        Cause::WalReaderStarting => ("alarms/actors.rs", "a_wal_reader_that_does_not_begin_is_told"),
        Cause::LogMoved | Cause::Inventory => ("alarms/log.rs", "a_log_that_was_moved_is_told_until_it_is_back"),
        Cause::LogLocked | Cause::TrialWrite => ("alarms/log.rs", "a_log_that_others_lock_is_told_until_they_let_go"),
        Cause::LogHeld => ("alarms/log.rs", "a_log_that_others_read_for_long_is_told_until_they_end"),
        Cause::LogStrange => ("alarms/log.rs", "a_log_that_the_database_does_not_know_is_told_when_it_is_up"),
        Cause::DiskFull => ("alarms/log.rs", "a_full_disk_is_told_until_there_is_room"),
        Cause::DiskLow => ("alarms/log.rs", "a_disk_that_runs_short_is_told_until_there_is_room"),
        Cause::BootstrapFile | Cause::ShopFilling => ("alarms/log.rs", "a_missing_bootstrap_file_is_told_until_it_is_there"),
        Cause::Database => ("alarms/database.rs", "a_frozen_postgresql_is_told_until_it_is_back"),
        Cause::DatabaseReadOnly => ("alarms/database.rs", "a_read_only_database_is_told_until_it_is_writable"),
        Cause::DatabaseBehind | Cause::DatabaseMigration => {
            ("alarms/database.rs", "tables_that_cannot_be_made_are_told_until_they_can")
        }
        Cause::OrderUnreadable => ("alarms/database.rs", "an_order_that_cannot_be_shown_is_told_until_it_can"),
        Cause::ItemUnusable => ("alarms/database.rs", "an_item_that_cannot_be_rescued_is_told_until_it_can"),
        Cause::ItemsStranded => ("alarms/database.rs", "items_from_before_a_gap_are_told_until_they_have_outcomes"),
        Cause::WalReader => ("alarms/database.rs", "a_wal_reader_that_may_not_read_is_told_until_it_may"),
        Cause::EventLog => ("alarms/kafka.rs", "a_broker_that_is_down_is_told_until_it_is_back"),
        Cause::TopicPolicy => ("alarms/kafka.rs", "a_policy_is_told_until_it_is_put_right"),
        Cause::RecordUnreadable => ("alarms/kafka.rs", "a_damaged_record_stops_its_partition_alone_until_it_is_well"),
        Cause::GroupMemberForeign => ("alarms/kafka.rs", "a_foreign_member_is_told_until_it_leaves"),
        Cause::PositionForeign => ("alarms/kafka.rs", "a_position_of_others_is_told_until_the_role_is_stopped"),
        Cause::CommitRefused => ("alarms/kafka.rs", "a_commit_that_is_refused_is_told_until_it_is_taken"),
        Cause::TopicPolicyUnknown | Cause::TrialWriteRefused => {
            ("kafka_rights.rs", "a_right_that_only_looks_need_is_warned_about")
        }
    }
}

#[test]
fn every_cause_is_provoked_by_a_test_that_is_there() {
    let names: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(names.len(), Cause::ALL.len(), "two causes with one name");
    for cause in Cause::ALL.iter() {
        let (file, test) = provoked_in(*cause);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let body = text.split(&format!("async fn {test}(")).nth(1).unwrap_or_else(|| panic!("{file} has no test {test}"));
        let body = body.split("\n}\n").next().unwrap_or_default();
        assert!(body.contains(&format!("Cause::{cause:?}")), "{test} does not provoke {cause:?}");
    }
}
