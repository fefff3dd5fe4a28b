//! Names of the record headers that KartShoppe writes and reads.

/// What made this record: [`crate::domain::inventory::Cause`] as text. On every output of the inventory.
pub const CAUSE: &str = "kartshoppe-cause";
/// W3C trace context of the cause.
pub use crate::telemetry::context::{TRACEPARENT, TRACESTATE};
/// The state header on `products`: format number, revision, time of the last command, deadline, stale flag, applied positions.
pub const STATE: &str = "kartshoppe-state";
/// On a tombstone of `products`: `life;version` with which the product left, as states in between may be on no record.
pub const REVISION: &str = "kartshoppe-revision";
/// On a record that was written again to its right partition: `topic/partition/offset` of the first writing.
pub const MOVED_FROM: &str = "kartshoppe-moved-from";
/// On a corrected copy of a dead letter: `dead-letters/partition/offset` of the letter.
pub const REPLAY_OF: &str = "kartshoppe-replay-of";
/// On a dead letter whose value was too large to keep whole: how many bytes the source's had.
pub const CUT_FROM: &str = "kartshoppe-cut-from";
/// On the last record that a transaction writes to a partition of Kafka: which transaction of which session that is.
pub const TRANSACTION: &str = "kartshoppe-transaction";
/// Headers of a dead letter, by the names Kafka Streams uses.
pub mod dead_letter {
    pub const EXCEPTION: &str = "__streams.errors.exception";
    pub const MESSAGE: &str = "__streams.errors.message";
    pub const TOPIC: &str = "__streams.errors.topic";
    pub const PARTITION: &str = "__streams.errors.partition";
    pub const OFFSET: &str = "__streams.errors.offset";
    pub const STACKTRACE: &str = "__streams.errors.stacktrace";
    pub const PROCESSOR_NODE_ID: &str = "__streams.errors.processor.node.id";
    pub const TASK_ID: &str = "__streams.errors.task.id";
}
