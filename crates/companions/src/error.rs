//! What can go wrong with the companions' own database.

use std::path::PathBuf;
use std::sync::Arc;

/// The companions' database cannot do its part. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, or holds something else.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the writer of the companions' database")]
    Start(#[source] Arc<std::io::Error>),
    /// A statement failed: the disk is full, the file is gone.
    #[error("cannot {doing} in the companions' database")]
    Database {
        /// What it was to do.
        doing: &'static str,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The system gives no random bits for an id.
    #[error("cannot draw a random id")]
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
