//! Why a promotion cannot go on, each with its code and its next step. Never a value, and never a URL with its password.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// What stands in the way, found before anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No PostgreSQL is named.
    #[error(
        "no PostgreSQL to go to is named (no_target); name it with --to postgres://…, or set DATABASE_URL"
    )]
    NoTarget,
    /// No Content Service is named.
    #[error(
        "no Content Service to take the texts is named (no_content); name it with --content, or set CONTENT_SERVICE_URL"
    )]
    NoContent,
    /// There is nothing to promote.
    #[error("there is no {} (no_source); name the folder with --data-dir", file.display())]
    NoSource {
        /// The file that is missing.
        file: PathBuf,
    },
    /// A server has the source.
    #[error("{problem} (source_in_use)")]
    SourceInUse {
        /// The store's own words, which name the next step.
        problem: String,
    },
    /// It went somewhere else before.
    #[error(
        "the source was promoted to {to} on {} (already_promoted); serve it from there", at.format("%Y-%m-%d")
    )]
    AlreadyPromoted {
        /// Where to.
        to: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// It has sent messages to a broker, so its neighbours are not the embedded ones.
    #[error(
        "the source has worked on a Kafka, whose services know its batches (source_on_kafka); only an installation with the \
         embedded bus can be promoted: let its batches end there, and start anew on PostgreSQL"
    )]
    SourceOnKafka,
    /// It was served since it was copied.
    #[error(
        "the source has changed since this promotion began (source_changed); delete {} and give an empty database as the target",
        folder.display()
    )]
    SourceChanged {
        /// Where the copy is.
        folder: PathBuf,
    },
    /// The target's tables are not there, and our role may not make them.
    #[error(
        "the tables of {to} cannot be made (target_not_migrated); run `bos migrate up` as their owner, then this again"
    )]
    TargetNotMigrated {
        /// The target.
        to: String,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// It has rows of its own.
    #[error("{to} is not empty: {table} has rows (target_not_empty); name an empty database")]
    TargetNotEmpty {
        /// The target.
        to: String,
        /// Where they are.
        table: &'static str,
    },
    /// Another promotion has it.
    #[error(
        "{to} holds another promotion, or one whose copy is gone (target_of_another); name an empty database"
    )]
    TargetOfAnother {
        /// The target.
        to: String,
    },
    /// Somebody serves from it.
    #[error(
        "{to} is served by {replicas} process(es) (target_in_use); stop them, they come back when this is done"
    )]
    TargetInUse {
        /// The target.
        to: String,
        /// How many.
        replicas: u32,
    },
    /// Kafka is away.
    #[error("Kafka does not answer (kafka_unreachable): {why}; see that it runs and that --kafka names it")]
    KafkaUnreachable {
        /// In librdkafka's words.
        why: String,
    },
    /// Topics are missing.
    #[error("{missing} topics are not there (topics_missing); run `bos topics create`, then this again")]
    TopicsMissing {
        /// How many.
        missing: usize,
    },
    /// The Content Service is away.
    #[error(
        "the Content Service cannot be used: {code} (content_unreachable); see that it runs and that --content names its texts"
    )]
    ContentUnreachable {
        /// The client's code.
        code: &'static str,
    },
}

/// Why a promotion stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not begin, or not go on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A database failed.
    #[error("the {side} cannot be used; run this again when it can, it goes on from here")]
    Store {
        /// `source`, `copy` or `target`.
        side: &'static str,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// News could not be applied to the copy.
    #[error("the copy cannot be made ready")]
    Engine(#[from] engine::Error),
    /// The embedded Content Service failed.
    #[error("the texts of the source cannot be read")]
    Texts(#[from] companions::Error),
    /// The new Content Service failed on the way.
    #[error(
        "the Content Service does not take a text ({code}); run this again when it does, it goes on from here"
    )]
    Content {
        /// The client's code.
        code: &'static str,
    },
    /// The client of the Content Service cannot be made.
    #[error("the client of the Content Service cannot be made")]
    Client(#[from] reqwest::Error),
    /// A file cannot be written.
    #[error("{} cannot be written", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What arrived is not what was sent. The source is as it was.
    #[error(
        "{table} is not the same on both sides ({what}); the source is unchanged, and the target is not to be used"
    )]
    NotTheSame {
        /// Where.
        table: &'static str,
        /// `rows`, `checksum`, `text_ids`.
        what: &'static str,
    },
    /// A test let it come so far.
    #[error("stopped on purpose")]
    Stopped,
}

impl Error {
    /// A failure of this side's database.
    pub(super) fn of(side: &'static str) -> impl Fn(store::Error) -> Self {
        move |source| Self::Store { side, source }
    }

    /// Whether another command line or another neighbour mends it.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
