//! Why a record cannot be read.

use crate::topic::Topic;

/// Why a record cannot be read.
///
/// The codes are stable: dead letters are stored and counted by them. Neither the variants nor their `Display` hold a value
/// of the record, only the path of a field that we define.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The record has no value: it is a tombstone, or only white space.
    #[error("the record is empty")]
    Empty,
    /// The value is larger than [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES).
    #[error("the record has {bytes} bytes, which is more than the limit")]
    TooLarge {
        /// The size of the record.
        bytes: usize,
    },
    /// The value is nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the record is nested too deeply")]
    TooDeep,
    /// The value is not UTF-8.
    #[error("the record is not UTF-8")]
    NotUtf8,
    /// The value is not JSON.
    #[error("the record is not JSON: error at line {line}, column {column}")]
    NotJson {
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error, in bytes.
        column: usize,
    },
    /// The value is JSON, but not an object with `data`.
    #[error("the record is not an envelope")]
    NotAnEnvelope,
    /// A required field is missing or null.
    #[error("{path} is missing")]
    MissingField {
        /// The path of the field.
        path: &'static str,
    },
    /// A field does not have the type of the platform's models, or appears twice. For an entry of a list, also when the entry
    /// lacks a field.
    #[error("{path} has the wrong type")]
    WrongType {
        /// The path of the field.
        path: String,
    },
    /// A value is not in its vocabulary, or does not mean a final result.
    #[error("{path} has an unknown value")]
    UnknownWord {
        /// The path of the field.
        path: &'static str,
    },
    /// A list is longer than [`MAX_ESSAYS`](super::MAX_ESSAYS).
    #[error("{path} lists more essays than the limit")]
    TooManyEssays {
        /// The path of the field.
        path: &'static str,
    },
    /// The id of the essay or batch is not a UUID. The platform allows that, so the record may be valid, but it cannot be about
    /// a batch of BOS, whose ids are UUIDs.
    #[error("{path} is not an id of BOS")]
    ForeignId {
        /// The path of the field.
        path: &'static str,
    },
    /// This reader does not read the topic.
    #[error("this reader does not read the topic {topic}")]
    NotRead {
        /// The topic.
        topic: Topic,
    },
}

impl ReadError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep => "too_deep",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::NotAnEnvelope => "not_an_envelope",
            Self::MissingField { .. } => "missing_field",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownWord { .. } => "unknown_word",
            Self::TooManyEssays { .. } => "too_many_essays",
            Self::ForeignId { .. } => "foreign_id",
            Self::NotRead { .. } => "not_read",
        }
    }

    /// Whether the record is about another system's essay or batch, so that it is skipped and counted rather than dead-lettered.
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::ForeignId { .. })
    }
}
