//! Why a record was not read.

/// Why a record was not read.
///
/// Codes are stable: dead letters are kept and counted by them. Neither the variants nor their `Display` hold a value
/// from the record, only the path of a field of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The record has no value: a tombstone, or nothing but blanks.
    #[error("the record is empty")]
    Empty,
    /// The value is larger than [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES).
    #[error("the record has {bytes} bytes, more than are read")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// The value is nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the record is nested deeper than is read")]
    TooDeep,
    /// The value is not UTF-8.
    #[error("the record is not UTF-8")]
    NotUtf8,
    /// The value is not JSON.
    #[error("the record is not JSON, seen at line {line}, column {column}")]
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, in bytes.
        column: usize,
    },
    /// The value is JSON, but not an object with `data`.
    #[error("the record is not an envelope")]
    NotAnEnvelope,
    /// A field that cannot be done without is missing or null.
    #[error("{path} is missing")]
    MissingField {
        /// Where it should be.
        path: &'static str,
    },
    /// A field does not hold what the platform's models say, or stands twice; an entry of a list also when it lacks a
    /// field.
    #[error("{path} has the wrong type")]
    WrongType {
        /// Where it is.
        path: String,
    },
    /// A word is not in its vocabulary, or is not one that ends anything.
    #[error("{path} is not a known word")]
    UnknownWord {
        /// Where it is.
        path: &'static str,
    },
    /// A list is longer than [`MAX_ESSAYS`](super::MAX_ESSAYS).
    #[error("{path} lists more essays than are read")]
    TooManyEssays {
        /// Where it is.
        path: &'static str,
    },
    /// The essay or batch has an id that is not a UUID. The platform allows that, so the record may be in order, but
    /// it is about somebody else's: ours are UUIDs.
    #[error("{path} is not an id of ours")]
    ForeignId {
        /// Where it is.
        path: &'static str,
    },
    /// The topic is not one that this reader reads.
    #[error("the topic {topic} is not read here")]
    NotRead {
        /// The topic.
        topic: crate::Topic,
    },
}

impl ReadError {
    /// A stable word for this kind of error.
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

    /// Whether the record is somebody else's rather than wrong: to be counted and passed over.
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::ForeignId { .. })
    }
}
