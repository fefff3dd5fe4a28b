//! Situations that the reader must not resolve by guessing: each alarm says what is wrong and what to do.
//!
//! The reader stops while an alarm is raised, checks again every few seconds, and resumes by itself once the cause is gone.

use super::stream::ServerIdentity;
use crate::wire::topics::cdc_position::Lsn;

/// Why orders are not read from the WAL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    #[error(
        "PostgreSQL refuses the WAL reader's credentials: set KARTSHOPPE__CDC__DATABASE_URL to a role that may log in ({reason})"
    )]
    Credential { reason: String },
    #[error(
        "PostgreSQL's TLS certificate was not accepted: put the CA's certificate into a file and name it with \
         ?sslmode=verify-full&sslrootcert=FILE in KARTSHOPPE__CDC__DATABASE_URL, with the host name of the certificate ({reason})"
    )]
    Tls { reason: String },
    #[error(
        "the WAL reader's URL points to a pooler, which cannot replicate: set KARTSHOPPE__CDC__DATABASE_URL to PostgreSQL itself \
         ({reason})"
    )]
    Pooler { reason: String },
    #[error("wal_level is {found}: set wal_level = logical in PostgreSQL's configuration and restart it")]
    WalLevel { found: String },
    #[error("this PostgreSQL is a standby, and the slot is on the primary: set KARTSHOPPE__CDC__DATABASE_URL to the primary")]
    StandBy,
    #[error(
        "the role {role} may not replicate: run ALTER ROLE {role} REPLICATION, or set KARTSHOPPE__CDC__DATABASE_URL to a role \
         that may"
    )]
    NoReplication { role: String },
    #[error("the role {role} may not read order_items: run GRANT SELECT ON order_items TO {role}")]
    NoSelect { role: String },
    #[error("the database {database} has no table order_items: run `kartshoppe db migrate`")]
    NotMigrated { database: String },
    #[error(
        "the publication {publication} is missing: create it again as in migrations/0005_publication.sql, then run \
         `kartshoppe cdc repair-slot`, because rows inserted meanwhile were not published"
    )]
    PublicationMissing { publication: String },
    #[error(
        "the publication {publication} was altered ({what}): restore it as in migrations/0005_publication.sql, then run \
         `kartshoppe cdc repair-slot`, because rows inserted meanwhile may not have been published"
    )]
    PublicationAltered { publication: String, what: String },
    #[error(
        "the replica identity of order_items was altered ({found}): run ALTER TABLE order_items REPLICA IDENTITY USING INDEX \
         order_items_identity, then `kartshoppe cdc repair-slot`, because rescued items may not have been published"
    )]
    ReplicaIdentity { found: String },
    #[error("the replication slot {slot} is gone: run `kartshoppe cdc repair-slot`, which makes a new one and closes the gap")]
    SlotMissing { slot: String },
    #[error(
        "PostgreSQL has removed WAL that the replication slot {slot} still needed ({status}): run `kartshoppe cdc repair-slot`, \
         and raise max_slot_wal_keep_size if the reader may be away for as long again"
    )]
    SlotLost { slot: String, status: String },
    #[error(
        "the replication slot {slot} is being read by {program} (PostgreSQL process {pid}), which is not a WAL reader of \
         KartShoppe: end it; if it acknowledged anything, `kartshoppe cdc status` says so and what to do then"
    )]
    SlotTaken { slot: String, program: String, pid: i32 },
    #[error("the replication slot {slot} cannot be created while older transactions are open in any database: end {by}")]
    SlotWaits { slot: String, by: String },
    #[error("the replication slot {slot} is not ours ({what}): choose another name with KARTSHOPPE__CDC__SLOT, or drop it")]
    SlotForeign { slot: String, what: String },
    #[error(
        "the stored position is of server {} on timeline {}, but this is {} on timeline {} (another server, a restored backup or \
         a promoted standby): point KARTSHOPPE__CDC__DATABASE_URL at the right one, or, if this is the right one, run \
         `kartshoppe cdc repair-slot`",
        stored.system_id, stored.timeline, found.system_id, found.timeline
    )]
    OtherServer { stored: ServerIdentity, found: ServerIdentity },
    #[error(
        "the slot {slot} is confirmed up to {confirmed}, beyond the stored position {stored}: another program read or advanced \
         it, or the event log was restored; run `kartshoppe cdc repair-slot`"
    )]
    PositionBehindSlot { slot: String, stored: Lsn, confirmed: Lsn },
    #[error(
        "the stored position {stored} is beyond the server's WAL, which ends at {flushed} (a restored backup): run \
         `kartshoppe cdc repair-slot`"
    )]
    PositionBeyondServer { stored: Lsn, flushed: Lsn },
    #[error("not repaired yet: {reason}")]
    NotRepaired { reason: String },
    #[error("the rest of the transaction that commits at {commit} was not sent again: run `kartshoppe cdc repair-slot`")]
    PartMissing { commit: Lsn },
    #[error(
        "a published row has no column {column}: restore it in order_items and in the publication, then run `kartshoppe cdc \
         repair-slot`"
    )]
    Column { column: String },
    #[error("the stored position cannot be read ({reason}): run `kartshoppe cdc repair-slot`")]
    PositionUnreadable { reason: String },
}

impl Alarm {
    /// Every [`Alarm::kind`], for a metric that shows each of them at 0 or 1.
    pub const KINDS: [&str; 22] = [
        "credential",
        "tls",
        "pooler",
        "wal-level",
        "stand-by",
        "no-replication",
        "no-select",
        "not-migrated",
        "publication-missing",
        "publication-altered",
        "replica-identity",
        "slot-missing",
        "slot-lost",
        "slot-taken",
        "slot-waits",
        "slot-foreign",
        "other-server",
        "position-behind-slot",
        "position-beyond-server",
        "position-unreadable",
        "not-repaired",
        "rows-missing",
    ];

    /// Its name on `/metrics` and in docs/runbooks/wal-reader.md.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Credential { .. } => "credential",
            Self::Tls { .. } => "tls",
            Self::Pooler { .. } => "pooler",
            Self::WalLevel { .. } => "wal-level",
            Self::StandBy => "stand-by",
            Self::NoReplication { .. } => "no-replication",
            Self::NoSelect { .. } => "no-select",
            Self::NotMigrated { .. } => "not-migrated",
            Self::PublicationMissing { .. } => "publication-missing",
            Self::PublicationAltered { .. } => "publication-altered",
            Self::ReplicaIdentity { .. } => "replica-identity",
            Self::SlotMissing { .. } => "slot-missing",
            Self::SlotLost { .. } => "slot-lost",
            Self::SlotTaken { .. } => "slot-taken",
            Self::SlotWaits { .. } => "slot-waits",
            Self::SlotForeign { .. } => "slot-foreign",
            Self::OtherServer { .. } => "other-server",
            Self::PositionBehindSlot { .. } => "position-behind-slot",
            Self::PositionBeyondServer { .. } => "position-beyond-server",
            Self::PositionUnreadable { .. } => "position-unreadable",
            Self::NotRepaired { .. } => "not-repaired",
            Self::PartMissing { .. } | Self::Column { .. } => "rows-missing",
        }
    }

    /// Whether a migration removes the cause.
    #[must_use]
    pub fn is_of_tables(&self) -> bool {
        matches!(
            self,
            Self::NotMigrated { .. }
                | Self::NoSelect { .. }
                | Self::PublicationMissing { .. }
                | Self::PublicationAltered { .. }
                | Self::ReplicaIdentity { .. }
        )
    }

    /// Whether rows may have been missed while it was raised, so that it is remembered until the slot is repaired.
    #[must_use]
    pub fn leaves_gap(&self) -> bool {
        matches!(
            self,
            Self::PublicationMissing { .. }
                | Self::PublicationAltered { .. }
                | Self::ReplicaIdentity { .. }
                | Self::Column { .. }
        )
    }
}
