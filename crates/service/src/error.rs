//! The errors that prevent the start of the service, or stop it.

use std::path::PathBuf;

/// An error that prevents the start of the service, or stops it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used ({}); choose another with --data-dir", folder.display(), source.kind())]
    DataFolder {
        /// The data folder.
        folder: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file of the embedded database was moved, replaced or deleted while the service ran.
    #[error(
        "{} was moved, replaced or deleted while the service ran, so further writes would be lost; put it back and start \
         again", file.display()
    )]
    FileMissing {
        /// The file.
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
    /// The client of the Content Service cannot be set up.
    #[error("cannot set up the client of the Content Service")]
    Content(#[from] reqwest::Error),
    /// The Kafka client cannot be created.
    #[cfg(feature = "kafka")]
    #[error("cannot create the Kafka client: {}", kafka::settings::creation_error(source))]
    Kafka {
        /// librdkafka's error. It is not printed as it is, because it repeats values, and a password is one of them.
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
    /// The database's error, if it is or wraps one.
    pub fn store_error(&self) -> Option<&store::Error> {
        if let Self::Store(error) | Self::Engine(engine::Error::Store(error)) = self {
            Some(error)
        } else {
            None
        }
    }

    /// Whether other settings can solve it, such as another data folder.
    pub const fn is_configuration_error(&self) -> bool {
        matches!(self, Self::DataFolder { .. } | Self::Store(store::Error::Unfit { .. }))
    }
}
