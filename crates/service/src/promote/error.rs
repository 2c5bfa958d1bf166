//! The errors of a promotion, each with its code and the next step. They never contain a value or a URL with its password.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// A reason to refuse a promotion, found before the source or the target was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No target PostgreSQL is configured.
    #[error("no target PostgreSQL is configured (no_target); pass --to postgres://…, or set DATABASE_URL")]
    NoTarget,
    /// No new Content Service is configured.
    #[error(
        "no Content Service for the texts is configured (no_content); pass --content http://…, or set CONTENT_SERVICE_URL"
    )]
    NoContent,
    /// The data folder has no database.
    #[error("{} does not exist (no_source); pass the data folder with --data-dir", file.display())]
    NoSource {
        /// The missing file.
        file: PathBuf,
    },
    /// A server uses the source.
    #[error("{problem} (source_in_use)")]
    SourceInUse {
        /// The store's message, which contains the next step.
        problem: String,
    },
    /// The source was promoted to another target before.
    #[error(
        "the source was promoted to {to} on {} (already_promoted); run `bos serve` on that database", at.format("%Y-%m-%d")
    )]
    AlreadyPromoted {
        /// The target of that promotion.
        to: String,
        /// When the source was marked.
        at: DateTime<Utc>,
    },
    /// The source has sent messages to Kafka, so its services are not the embedded companions.
    #[error(
        "the source has used Kafka, whose services know its batches (source_on_kafka); only an installation with the embedded \
         bus can be promoted: let its batches end, and start with an empty PostgreSQL"
    )]
    SourceOnKafka,
    /// The source was served after it was copied.
    #[error(
        "the source has changed since this promotion began (source_changed); delete {} and use an empty database as the target",
        folder.display()
    )]
    SourceChanged {
        /// The folder of the copy.
        folder: PathBuf,
    },
    /// The target has no tables, and the role may not create them.
    #[error(
        "cannot create the tables in {to} (target_not_migrated); run `bos migrate up` as their owner, then promote again"
    )]
    TargetNotMigrated {
        /// The target.
        to: String,
        /// The database's error.
        #[source]
        source: store::Error,
    },
    /// The target has rows.
    #[error("{to} is not empty: {table} has rows (target_not_empty); use an empty database")]
    TargetNotEmpty {
        /// The target.
        to: String,
        /// A table that has rows.
        table: &'static str,
    },
    /// The target belongs to another promotion.
    #[error(
        "{to} contains another promotion, or one whose copy was deleted (target_of_another); use an empty database"
    )]
    TargetOfAnother {
        /// The target.
        to: String,
    },
    /// Servers use the target.
    #[error(
        "{replicas} server process(es) use {to} (target_in_use); stop them, and start them again after the promotion"
    )]
    TargetInUse {
        /// The target.
        to: String,
        /// The number of server processes.
        replicas: u32,
    },
    /// Kafka cannot be reached.
    #[error("cannot use Kafka (kafka_unreachable): {why}; check that it runs, and the address in --kafka")]
    KafkaUnreachable {
        /// librdkafka's message.
        why: String,
    },
    /// Kafka lacks topics.
    #[error("{missing} topics do not exist (topics_missing); run `bos topics create`, then promote again")]
    TopicsMissing {
        /// The number of missing topics.
        missing: usize,
    },
    /// The new Content Service cannot be reached.
    #[error(
        "cannot use the Content Service: {code} (content_unreachable); check that it runs, and the URL in --content with its path"
    )]
    ContentUnreachable {
        /// The error code of the client.
        code: &'static str,
    },
}

/// An error that stops a promotion.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The promotion is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A database failed.
    #[error("the database of the {side} failed; run the promotion again, it continues here")]
    Store {
        /// Which database: `source`, `copy` or `target`.
        side: &'static str,
        /// The database's error.
        #[source]
        source: store::Error,
    },
    /// Applying news to the copy failed.
    #[error("cannot prepare the copy")]
    Engine(#[from] engine::Error),
    /// The embedded Content Service failed.
    #[error("cannot read the texts of the source")]
    Texts(#[from] companions::Error),
    /// The new Content Service failed during the promotion.
    #[error("the Content Service failed on a text ({code}); run the promotion again, it continues here")]
    Content {
        /// The error code of the client.
        code: &'static str,
    },
    /// The client of the Content Service cannot be set up.
    #[error("cannot set up the client of the Content Service")]
    Client(#[from] reqwest::Error),
    /// A file cannot be written.
    #[error("cannot write {}", file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The target differs from the copy or the source. The source is unchanged.
    #[error(
        "{table} differs between source and target ({what}); the source is unchanged; do not use the target, drop its database"
    )]
    NotTheSame {
        /// The table that differs.
        table: &'static str,
        /// What differs: `rows`, `checksum`, or `text_ids` if the target contains ids of the old Content Service.
        what: &'static str,
    },
    /// A test stopped the promotion ([`StepLimit`](super::StepLimit)).
    #[error("the promotion was stopped by a test")]
    Stopped,
}

impl Error {
    /// Wraps an error of the database of this side.
    pub(super) fn of(side: &'static str) -> impl Fn(store::Error) -> Self {
        move |source| Self::Store { side, source }
    }

    /// Whether the user must correct the command line or a dependency before another run.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
