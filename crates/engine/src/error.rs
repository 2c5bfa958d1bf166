//! The errors of the engine.

use domain::Refusal;

/// An error of the engine. `Display` says what failed; the cause is the source, and no message contains values of a batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The caller has no such batch. A batch of another owner is reported the same way.
    #[error("no such batch")]
    NotFound,
    /// The rules do not allow it in the batch's state.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The Idempotency-Key was used with another request.
    #[error("the Idempotency-Key was used with another request")]
    KeyReused,
    /// The staged texts or the outbox have reached their cap. Transient.
    #[error("the backlog of {what} has reached its cap")]
    BacklogFull {
        /// `staged texts` or `outbox rows`.
        what: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A message or a timeline entry could not be serialized: a defect of this program.
    #[error("cannot serialize a message")]
    Unwritable,
    /// An armed crash point was passed; only in tests.
    #[error("stopped at a crash point")]
    Crashed,
}

impl Error {
    /// Whether a retry may succeed without a change of this program or of its data.
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
