//! Why a run of the reader ended, from the errors of what it calls.

use super::ReadError;
use super::alarm::Alarm;
use super::position::StoredError;
use super::server::ServerError;
use super::stream::StreamError;
use super::transactions::ProtocolError;
use crate::log::LogError;

/// Why a run of the reader ended.
#[derive(Debug)]
pub(super) enum End {
    /// Another reader has the slot.
    SlotInUse,
    Alarm(Alarm),
    Failed(ReadError),
}

impl From<Alarm> for End {
    fn from(alarm: Alarm) -> Self {
        Self::Alarm(alarm)
    }
}

impl From<ServerError> for End {
    fn from(error: ServerError) -> Self {
        ReadError::from(error).into()
    }
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        ReadError::from(error).into()
    }
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoredError> for End {
    fn from(error: StoredError) -> Self {
        match error {
            StoredError::Log(error) => error.into(),
            StoredError::Alarm(alarm) => Self::Alarm(alarm),
        }
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Column(column) => Self::Alarm(Alarm::Column { column: column.to_owned() }),
            ProtocolError::PartMissing(commit) => Self::Alarm(Alarm::PartMissing { commit }),
            ProtocolError::Order(_) => Self::Failed(ReadError::Protocol(error)),
        }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Alarm(alarm) | ReadError::Server(ServerError::Alarm(alarm)) => Self::Alarm(alarm),
            ReadError::Stream(StreamError::SlotInUse) => Self::SlotInUse,
            ReadError::Stream(StreamError::Ended(reason)) if reason.contains("unsupported startup parameter") => {
                Self::Alarm(Alarm::Pooler { reason })
            }
            ReadError::Server(_) | ReadError::Stream(_) | ReadError::Log(_) | ReadError::Protocol(_) | ReadError::Actor(_) => {
                Self::Failed(error)
            }
        }
    }
}
