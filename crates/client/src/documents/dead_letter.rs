//! Dead letters: messages that the consumer could not process. No document contains a message's payload.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Page;

/// The position of a message on the bus, written `TOPIC/PARTITION/OFFSET`. It identifies the message's dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Path))]
pub struct MessagePosition {
    /// The topic of the message.
    pub topic: String,
    /// The partition; 0 on the embedded bus.
    #[cfg_attr(feature = "openapi", param(value_type = String))]
    pub partition: i64,
    /// The offset in the partition; the record's id on the embedded bus.
    #[cfg_attr(feature = "openapi", param(value_type = String))]
    pub offset: i64,
}

impl FromStr for MessagePosition {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let position = (|| {
            let topic = parts.next().filter(|topic| !topic.is_empty())?.to_owned();
            let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(Self { topic, partition, offset })
        })();
        position.ok_or("TOPIC/PARTITION/OFFSET is expected, as `bos dead-letter list` prints it")
    }
}

impl fmt::Display for MessagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A dead letter as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterSummary {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// Why the message could not be processed.
    pub error_code: String,
    /// When it was dead-lettered.
    pub set_aside_at: DateTime<Utc>,
    /// The event id, if it could be read.
    pub event_id: Option<Uuid>,
    /// The batch that the message is about, if that could be read.
    pub batch_id: Option<Uuid>,
    /// For a message that came too early: it is processed again once its batch is past this revision.
    pub after_revision: Option<i64>,
}

/// A page of dead letters, and the number of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterList {
    /// A page of dead letters, latest first.
    #[serde(flatten)]
    pub page: Page<DeadLetterSummary>,
    /// All dead letters, over all pages.
    pub depth: DeadLetterCounts,
}

/// The number of dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterCounts {
    /// Dead letters.
    pub rows: i64,
    /// When the oldest was dead-lettered.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// A dead letter with the envelope of its message and without the message's payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterDetail {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// The consumer that could not process it.
    pub consumer: String,
    /// Why the message could not be processed.
    pub error_code: String,
    /// When it was dead-lettered.
    pub set_aside_at: DateTime<Utc>,
    /// The SHA-256 hash of the message, as hexadecimal digits.
    pub value_sha256: String,
    /// The message; null when the bus no longer has it.
    pub record: Option<DeadLetterRecord>,
}

/// The message of a dead letter: its envelope and the names of its payload's fields, without their values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterRecord {
    /// The key that the message was sent with.
    pub key: String,
    /// The size of the message in bytes.
    pub size_bytes: usize,
    /// Whether these are the bytes that were dead-lettered, by their SHA-256 hash.
    pub is_the_same: bool,
    /// The fields of the envelope; empty when the message has no envelope.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub envelope: Map<String, Value>,
    /// The names of the payload's fields.
    pub data_fields: Vec<String>,
}

/// What became of a message that was replayed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayOutcome {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// `applied`, `unchanged`, `duplicate`, `foreign`, `unusable`, or `gone` when the bus no longer has the message.
    pub outcome: String,
    /// Why the message still cannot be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Whether the dead letter was deleted.
    pub is_forgotten: bool,
}

#[cfg(test)]
mod tests {
    use super::MessagePosition;

    #[test]
    fn a_position_is_read_as_it_is_printed() {
        let text = "huleedu.els.batch.phase.outcome.v1/3/4711";
        let position: MessagePosition = text.parse().unwrap();
        assert_eq!((position.partition, position.offset, position.to_string().as_str()), (3, 4711, text));
        for wrong in ["", "huleedu.els.batch.phase.outcome.v1/3", "a/b/c", "/1/2", "a/1/2/3"] {
            assert!(wrong.parse::<MessagePosition>().is_err(), "{wrong}");
        }
    }
}
