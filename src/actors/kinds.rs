//! Which actors there are, and why they end: labels of metrics and targets of faults.

/// The kinds of actors: labels of metrics and targets of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    Root,
    Role,
    LogSource,
    Shard,
    Product,
    Committer,
    WalReader,
    CatalogView,
    Fanout,
    AlertDesk,
    OrderPublisher,
    OrderTracker,
    HttpListener,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Root,
        Self::Role,
        Self::LogSource,
        Self::Shard,
        Self::Product,
        Self::Committer,
        Self::WalReader,
        Self::CatalogView,
        Self::Fanout,
        Self::AlertDesk,
        Self::OrderPublisher,
        Self::OrderTracker,
        Self::HttpListener,
    ];

    /// As labels and fault targets write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Role => "role",
            Self::LogSource => "log-source",
            Self::Shard => "shard",
            Self::Product => "product",
            Self::Committer => "committer",
            Self::WalReader => "wal-reader",
            Self::CatalogView => "catalog-view",
            Self::Fanout => "fanout",
            Self::AlertDesk => "alert-desk",
            Self::OrderPublisher => "order-publisher",
            Self::OrderTracker => "order-tracker",
            Self::HttpListener => "http-listener",
        }
    }

    /// Reads what [`ActorKind::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why an actor ended, or did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndCause {
    Panic,
    Error,
    Killed,
    /// Killed by the watchdog, because it handled one message for too long.
    Hung,
    /// Its task was cancelled by the runtime.
    Cancelled,
    /// `pre_start` failed, panicked or took too long.
    Start,
    /// Stopped on purpose, or of itself.
    Stopped,
    /// Replaced by its next incarnation because an operator asked for it: no failure.
    Restarted,
}

impl EndCause {
    /// Every cause, in the order of [`EndCause::index`].
    pub const ALL: [Self; 8] =
        [Self::Panic, Self::Error, Self::Killed, Self::Hung, Self::Cancelled, Self::Start, Self::Stopped, Self::Restarted];

    /// Its place in an array with one place per cause.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// As labels write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Cancelled => "cancelled",
            Self::Start => "start",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
        }
    }
}
