//! Every cause of an alarm is provoked once on the real shop; each test checks where the alarm is reported and that it clears
//! with its cause.
//!
//! [`provoked_in`] is the table: a cause without a row does not compile. The rows are grouped by the module that raises the
//! cause.

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
        Cause::ProcessStarting | Cause::ProcessStopping => ("alarms/actors.rs", "a_start_and_a_stop_are_reported"),
        Cause::RoleStarting => ("alarms/actors.rs", "an_actor_that_is_down_raises_an_alarm_until_it_is_back"),
        Cause::RoleFailing => ("alarms/actors.rs", "an_actor_that_keeps_failing_raises_an_alarm_until_it_runs_again"),
        Cause::InputStalled | Cause::ItemsUnsettled => {
            ("alarms/actors.rs", "a_hung_committer_raises_the_alarms_of_what_it_stalls")
        }
        Cause::CatalogueStalled => ("alarms/actors.rs", "a_hung_read_model_raises_the_alarm_of_its_position"),
        Cause::CatalogueRestoring => ("alarms/actors.rs", "a_read_model_that_is_restoring_raises_an_alarm"),
        Cause::TrackerStalled => ("alarms/actors.rs", "a_hung_tracker_raises_the_alarms_of_what_it_stalls"),
        Cause::FanoutStalled => ("alarms/actors.rs", "a_hung_fan_out_raises_the_alarm_of_its_position"),
        Cause::WalReaderStarting => ("alarms/actors.rs", "a_wal_reader_that_does_not_start_raises_an_alarm"),
        Cause::LogMoved | Cause::Inventory => ("alarms/log.rs", "a_moved_log_raises_an_alarm_until_it_is_back"),
        Cause::LogLocked | Cause::TrialWrite => ("alarms/log.rs", "a_log_locked_by_others_raises_an_alarm_until_they_release_it"),
        Cause::LogHeld => ("alarms/log.rs", "a_log_read_by_others_for_long_raises_an_alarm_until_they_end"),
        Cause::LogStrange => ("alarms/log.rs", "a_log_that_the_database_does_not_know_raises_an_alarm_once_the_database_is_up"),
        Cause::DiskFull => ("alarms/log.rs", "a_full_disk_raises_an_alarm_until_there_is_room"),
        Cause::DiskLow => ("alarms/log.rs", "a_nearly_full_disk_raises_an_alarm_until_there_is_room"),
        Cause::BootstrapFile | Cause::ShopFilling => {
            ("alarms/log.rs", "a_missing_bootstrap_file_raises_an_alarm_until_it_exists")
        }
        Cause::Database => ("alarms/database.rs", "a_frozen_postgresql_raises_an_alarm_until_it_is_back"),
        Cause::DatabaseReadOnly => ("alarms/database.rs", "a_read_only_database_raises_an_alarm_until_it_is_writable"),
        Cause::DatabaseBehind | Cause::DatabaseMigration => {
            ("alarms/database.rs", "tables_that_cannot_be_created_raise_an_alarm_until_they_can")
        }
        Cause::OrderUnreadable => ("alarms/database.rs", "an_unreadable_order_raises_an_alarm_until_it_is_corrected"),
        Cause::ItemUnusable => ("alarms/database.rs", "an_item_that_cannot_be_rescued_raises_an_alarm_until_it_can"),
        Cause::ItemsStranded => ("alarms/database.rs", "items_from_before_a_gap_raise_an_alarm_until_they_have_outcomes"),
        Cause::WalReader => ("alarms/database.rs", "a_wal_reader_without_permission_raises_an_alarm_until_it_is_granted"),
        Cause::EventLog => ("alarms/kafka.rs", "a_broker_that_is_down_raises_an_alarm_until_it_is_back"),
        Cause::TopicPolicy => ("alarms/kafka.rs", "a_wrong_policy_raises_an_alarm_until_it_is_corrected"),
        Cause::RecordUnreadable => ("alarms/kafka.rs", "a_damaged_record_stops_only_its_partition_until_it_is_repaired"),
        Cause::GroupMemberForeign => ("alarms/kafka.rs", "a_foreign_member_raises_an_alarm_until_it_leaves"),
        Cause::PositionForeign => ("alarms/kafka.rs", "a_foreign_position_raises_an_alarm_until_the_role_is_stopped"),
        Cause::CommitRefused => ("alarms/kafka.rs", "a_refused_commit_raises_an_alarm_until_it_is_accepted"),
        Cause::TopicPolicyUnknown | Cause::TrialWriteRefused => {
            ("kafka_permissions.rs", "a_permission_that_only_checks_need_is_a_warning")
        }
    }
}

#[test]
fn every_cause_is_provoked_by_an_existing_test() {
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
