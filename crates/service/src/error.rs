//! Why the service cannot start, or stopped by itself.

use std::path::PathBuf;

/// Why the service cannot start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used ({}); choose another with --data-dir", folder.display(), source.kind())]
    DataFolder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database's file is not where it was.
    #[error(
        "{} is not where it was: it was moved, replaced or deleted while the service ran, so nobody would find what is written \
         to it; put it back and start again", file.display()
    )]
    FileMissing {
        /// Which file.
        file: PathBuf,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The engine cannot start.
    #[error("the engine cannot start")]
    Engine(#[from] engine::Error),
    /// The companions cannot start.
    #[error(transparent)]
    Companions(#[from] companions::Error),
    /// The client of the Content Service cannot be made.
    #[error("the client of the Content Service cannot be made")]
    Content(#[from] reqwest::Error),
    /// The client of Kafka cannot be made.
    #[cfg(feature = "kafka")]
    #[error("the client of Kafka cannot be made: {}", kafka::settings::creation_error(source))]
    Kafka {
        /// What librdkafka said. Not shown as it is: it repeats values, and a password is one.
        source: kafka::KafkaError,
    },
}

#[cfg(feature = "kafka")]
impl From<kafka::KafkaError> for Error {
    fn from(source: kafka::KafkaError) -> Self {
        Self::Kafka { source }
    }
}

impl Error {
    /// Whether other settings mend it, such as another data folder.
    pub const fn is_of_the_configuration(&self) -> bool {
        matches!(self, Self::DataFolder { .. } | Self::Store(store::Error::Unfit { .. }))
    }
}
