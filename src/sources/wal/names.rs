//! Names and numbers that stream, transactions and server share.

/// The application name of our connections: a slot that is read under this name has a KartShoppe reader.
pub(super) const APPLICATION: &str = "kartshoppe-cdc";
/// The published table.
pub(super) const TABLE: &str = "order_items";

/// A transaction's number, as the stream has it: without its epoch.
pub(super) type Xid = u32;
