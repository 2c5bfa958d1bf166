//! Errors of the companions' database.

use std::path::PathBuf;
use std::sync::Arc;

/// An error of the companions' database. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, or is not a database of the companions.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the writer of the companions' database")]
    Start(#[source] Arc<std::io::Error>),
    /// A statement failed, for example because the disk is full or the file was deleted.
    #[error("cannot {doing} in the companions' database")]
    Database {
        /// The operation, as a verb with its object.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The operating system returned no random bytes for an id.
    #[error("cannot generate a random id")]
    Random,
    /// The database is closing.
    #[error("the companions' database is closing")]
    Closed,
}

impl Error {
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { doing, source: Arc::new(source) }
    }
}
