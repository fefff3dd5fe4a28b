//! Every cause that an alarm can have, in one list: its name on `/metrics` and in the log, and the role whose work it is about.
//!
//! `docs/runbooks/alarms.md` says for each what it means and what to do; a test compares that page with this list, and another
//! one that every cause is provoked somewhere.

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What stands in the way. The order is that of `/readyz`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause { $($(#[$doc])* $name,)+ }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As labels and log fields write it: in lower case with hyphens.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

causes! {
    /// The configured roles have not been started yet.
    ProcessStarting = "process-starting",
    /// The process is ending.
    ProcessStopping = "process-stopping",
    /// The embedded log's file is not where it was.
    LogMoved = "log-moved",
    /// The embedded log is not the one that PostgreSQL's orders were settled from.
    LogStrange = "log-strange",
    /// Another program holds the embedded log locked.
    LogLocked = "log-locked",
    /// Another program's read keeps the embedded log's WAL from starting over.
    LogHeld = "log-held",
    /// No space is left for the embedded log.
    DiskFull = "disk-full",
    /// So little space is left that tracked events are dropped.
    DiskLow = "disk-low",
    /// The event log does not answer or refuses.
    EventLog = "event-log",
    /// A trial write to the log had no echo.
    TrialWrite = "trial-write",
    /// Trial writes are not allowed.
    TrialWriteRefused = "trial-write-refused",
    /// A topic's policy is not what the shop needs.
    TopicPolicy = "topic-policy",
    /// Kafka does not show a topic's policy.
    TopicPolicyUnknown = "topic-policy-unknown",
    /// A record cannot be read, however often it is asked for.
    RecordUnreadable = "record-unreadable",
    /// Kafka refuses what the shop commits.
    CommitRefused = "commit-refused",
    /// A consumer of others is a member of our group.
    GroupMemberForeign = "group-member-foreign",
    /// A committed position is not ours.
    PositionForeign = "position-foreign",
    /// The inventory has trouble with the log.
    Inventory = "inventory",
    /// The file of the first products cannot be used.
    BootstrapFile = "bootstrap-file",
    /// The first products are being written.
    ShopFilling = "shop-filling",
    /// An input stands still.
    InputStalled = "input-stalled",
    /// The read model stands still.
    CatalogueStalled = "catalogue-stalled",
    /// The read model is being read.
    CatalogueRestoring = "catalogue-restoring",
    /// Outcomes are not written down.
    TrackerStalled = "tracker-stalled",
    /// Pages are not sent their carts.
    FanoutStalled = "fanout-stalled",
    /// Items wait for their outcome for too long.
    ItemsUnsettled = "items-unsettled",
    /// Rows of orders hold what cannot be shown.
    OrderUnreadable = "order-unreadable",
    /// Rows of items keep them from being rescued.
    ItemUnusable = "item-unusable",
    /// Items from before a gap in the outcomes have none.
    ItemsStranded = "items-stranded",
    /// Actors of a role are being started.
    RoleStarting = "role-starting",
    /// An actor keeps ending, or a role does not answer.
    RoleFailing = "role-failing",
    /// The WAL reader makes its slot, or connects.
    WalReaderStarting = "wal-reader-starting",
    /// Orders are not read from the WAL.
    WalReader = "wal-reader",
    /// PostgreSQL does not answer or refuses.
    Database = "database",
    /// PostgreSQL takes no writes.
    DatabaseReadOnly = "database-read-only",
    /// The tables do not have this version's shape.
    DatabaseBehind = "database-behind",
    /// The tables cannot be brought to this version's shape.
    DatabaseMigration = "database-migration",
}

impl Cause {
    /// Whether it belongs to starts and ends: no one has to act, and the log does not call it an error.
    #[must_use]
    pub const fn is_expected(self) -> bool {
        matches!(
            self,
            Self::ProcessStarting
                | Self::ProcessStopping
                | Self::ShopFilling
                | Self::CatalogueRestoring
                | Self::RoleStarting
                | Self::WalReaderStarting
        )
    }

    /// The role whose parts alone raise and clear it: when the role is stopped, it is over.
    #[must_use]
    pub const fn role(self) -> Option<&'static str> {
        if matches!(self, Self::CommitRefused | Self::PositionForeign | Self::BootstrapFile) {
            Some("inventory")
        } else if matches!(self, Self::OrderUnreadable | Self::ItemUnusable | Self::ItemsStranded | Self::DiskLow) {
            Some("api")
        } else if matches!(self, Self::WalReader) {
            Some("cdc")
        } else {
            None
        }
    }
}

impl PartialEq<&str> for Cause {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new cause needs its section, and one that went leaves none.
    #[test]
    fn the_runbook_says_of_every_cause_what_to_do() {
        let runbook = include_str!("../../docs/runbooks/alarms.md");
        let headings = runbook.lines().filter_map(|line| line.strip_prefix("### "));
        let mut documented: Vec<&str> = headings.flat_map(|heading| heading.split(", ")).collect();
        let mut causes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        documented.sort_unstable();
        causes.sort_unstable();
        assert_eq!(documented, causes);
        let expected = runbook.split("### ").filter(|section| section.contains("\n*Expected.*")).count();
        assert_eq!(expected, Cause::ALL.iter().filter(|cause| cause.is_expected()).count());
    }
}
