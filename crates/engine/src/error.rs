//! What can go wrong on the road.

use domain::Refusal;

/// An error of the engine. Display says what the engine was doing, never the cause below and never a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The batch is not there, or is somebody else's: to a stranger these are the same.
    #[error("there is no such batch")]
    NotFound,
    /// The rules say no: the state does not allow it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The staged texts or the outbox have reached their cap.
    #[error("the backlog of {what} has reached its cap")]
    BacklogFull {
        /// `staged texts` or `outbox rows`.
        what: &'static str,
    },
    /// The database said no.
    #[error("the store did not take the change")]
    Store(#[from] store::Error),
    /// A message could not be written in the platform's words: a defect of this program.
    #[error("a message could not be written")]
    Unwritable,
    /// A test told the engine to stop dead here.
    #[error("stopped at a crash point")]
    Crashed,
}

impl Error {
    /// Whether the same call may succeed later without anybody mending anything in this program.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::BacklogFull { .. } | Self::Crashed => true,
            Self::NotFound | Self::Refused(_) | Self::KeyReused | Self::Unwritable => false,
        }
    }
}

impl store::UnitError for Error {
    fn store_error(&self) -> Option<&store::Error> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}
