//! What every event log must do: the sentences of `kartshoppe::log`, each as a test against `dyn EventLog`.
//!
//! An implementation joins with a [`Harness`] and one line `suite!(name, open)`. `open` returns `None` where it cannot run, with
//! a message.

mod atomicity;
mod compaction;
mod harness;
mod kill;
mod membership;
mod order;
mod reading;
mod records;
mod topics;

use harness::Harness;

/// Makes a module with one test per case for an implementation.
macro_rules! suite {
    ($name:ident, $open:path) => {
        suite!($name, $open;
            order::a_partition_is_read_in_the_order_it_was_written,
            order::keys_go_where_a_java_producer_sends_them,
            order::records_without_a_key_are_spread,
            order::append_times_are_those_that_the_append_gave,
            records::parts_come_back_as_they_were,
            records::large_values_and_large_batches,
            atomicity::a_commit_is_visible_with_all_its_parts,
            atomicity::a_refused_batch_leaves_nothing,
            atomicity::a_fenced_session_leaves_nothing,
            atomicity::positions_move_with_their_commit_only,
            atomicity::a_commit_that_returned_is_there_as_a_whole,
            membership::the_first_poll_assigns_and_the_next_reads_on,
            membership::a_newer_session_fences_the_older,
            membership::a_session_that_leaves_is_followed_at_once,
            membership::members_are_counted_while_they_live,
            membership::a_rewind_brings_the_uncommitted_again,
            membership::a_poll_and_a_commit_go_on_together,
            membership::a_dropped_poll_loses_nothing,
            membership::a_session_without_a_group_only_writes,
            reading::a_reader_starts_at_the_requested_position,
            reading::a_reader_stops_at_the_end_as_it_stood,
            reading::a_new_reader_resumes_where_one_reached_the_end,
            reading::a_follower_is_woken_and_misses_nothing,
            reading::a_start_outside_the_partition_is_refused,
            topics::topics_are_made_once,
            topics::a_deleted_topic_starts_empty,
            topics::an_unknown_topic_is_named,
            compaction::the_last_record_of_each_key_stays,
            compaction::a_follower_reads_through_compaction,
            kill::nothing_acknowledged_is_lost_when_the_process_is_killed,
            kill::everything_is_there_after_a_restart
        );
    };
    ($name:ident, $open:path; $($group:ident :: $case:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(mut harness): Option<Box<dyn super::Harness>> = $open().await else { return };
                    super::$group::$case(&mut *harness).await;
                    harness.close().await;
                }
            )+
        }
    };
}

suite!(embedded, super::harness::open_embedded);
suite!(kafka, super::harness::open_kafka);

#[tokio::test]
#[ignore = "the child's part of `kill`"]
async fn child() {
    kill::write_until_killed(&crate::support::child::task()).await;
}
