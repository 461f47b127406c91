//! What may become of a call to a store but an answer.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use serde::Serialize;

/// Why a store did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is known to be down: it was not asked.
    #[error("the store is down")]
    Down,
    /// So many calls wait for it that this one was not sent.
    #[error("too many calls wait for the store")]
    Full,
    /// It has not answered in time. Whether it has done it is unknown.
    #[error("the store has not answered in time")]
    Timeout,
    /// Its connection failed. Whether it has done it is unknown.
    #[error("the connection to the store failed: {0}")]
    Connection(Box<str>),
    /// It answered that it would not: its memory is full, it is a replica, the user may not. The code
    /// is Redis's own, such as `OOM`, `READONLY` or `NOPERM`.
    #[error("the store has refused: {0}")]
    Refused(Box<str>),
    /// It answered what nobody asked for.
    #[error("the store has answered in another shape than was asked for")]
    Answer,
}

/// What a call fails of, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// [`StoreError::Down`].
    Down,
    /// [`StoreError::Full`].
    Full,
    /// [`StoreError::Timeout`].
    Timeout,
    /// [`StoreError::Connection`].
    Connection,
    /// [`StoreError::Refused`].
    Refused,
    /// [`StoreError::Answer`].
    Answer,
}

impl Cause {
    /// All of them, in the order of their numbers.
    pub const ALL: [Cause; 6] = [
        Cause::Down,
        Cause::Full,
        Cause::Timeout,
        Cause::Connection,
        Cause::Refused,
        Cause::Answer,
    ];

    /// The word that metrics know it by.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Down => "down",
            Cause::Full => "full",
            Cause::Timeout => "timeout",
            Cause::Connection => "connection",
            Cause::Refused => "refused",
            Cause::Answer => "answer",
        }
    }
}

impl StoreError {
    /// What it counts as.
    pub fn cause(&self) -> Cause {
        match self {
            StoreError::Down => Cause::Down,
            StoreError::Full => Cause::Full,
            StoreError::Timeout => Cause::Timeout,
            StoreError::Connection(_) => Cause::Connection,
            StoreError::Refused(_) => Cause::Refused,
            StoreError::Answer => Cause::Answer,
        }
    }

    /// Whether it says something of the store rather than of the call: enough of them in a row and it
    /// is down.
    pub fn is_trouble(&self) -> bool {
        matches!(self, StoreError::Timeout | StoreError::Connection(_))
    }

    /// What an error of the client's means.
    pub fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return StoreError::Timeout;
        }
        match error.kind() {
            // Those come from a cluster that cannot serve now, and go by themselves.
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain) => {
                StoreError::Connection(error.to_string().into())
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                StoreError::Refused(error.code().unwrap_or("ERR").into())
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => StoreError::Answer,
            _ => StoreError::Connection(error.to_string().into()),
        }
    }
}

/// Whether the connection is of no more use: it is gone, or leads to a server that is no master or
/// not yet ready, so that another one should be asked for.
pub fn is_fatal(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    match error.kind() {
        ErrorKind::Server(BusyLoading | MasterDown | ReadOnly) => true,
        ErrorKind::Parse => true,
        _ => error.is_unrecoverable_error() && !error.is_timeout(),
    }
}
