//! Pending and parked messages of the outbox, without their payloads.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Page;

/// The position of a message in the outbox, written `SHARD/ROW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Path))]
pub struct OutboxPosition {
    /// The shard: the first number of the message's `id`.
    #[cfg_attr(feature = "openapi", param(value_type = String))]
    pub shard: i64,
    /// The row: the second number of the message's `id`.
    #[cfg_attr(feature = "openapi", param(value_type = String))]
    pub row: i64,
}

impl FromStr for OutboxPosition {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let position =
            text.split_once('/').and_then(|(shard, row)| Some((shard.parse().ok()?, row.parse().ok()?)));
        let (shard, row) = position.ok_or("SHARD/ROW is expected, as `bos outbox pending` prints it")?;
        Ok(Self { shard, row })
    }
}

impl fmt::Display for OutboxPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.row)
    }
}

/// A pending or parked message, without its payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboxMessage {
    /// The position in the outbox, `SHARD/ROW`.
    pub id: String,
    /// Whether the message is pending or parked.
    pub state: OutboxState,
    /// The topic that the message is sent to.
    pub topic: String,
    /// The ordering key. Messages of one key are sent one at a time.
    pub key: String,
    /// The position within the ordering key.
    pub key_seq: i64,
    /// The event id.
    pub event_id: Uuid,
    /// The size of the envelope in bytes.
    pub size_bytes: i64,
    /// Seconds since the message was enqueued.
    pub age_seconds: i64,
    /// Failed attempts that were due to this message.
    pub attempts: u32,
    /// The time of the next attempt.
    pub not_before: DateTime<Utc>,
    /// Why the message is parked.
    pub error_code: Option<String>,
}

/// Whether a message in the outbox is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// The relay sends it, or retries to.
    Pending,
    /// The bus refused it permanently. It blocks its ordering key until an operator decides.
    Parked,
}

impl OutboxState {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
        }
    }
}

/// A page of messages of the outbox, and the size of all of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboxList {
    /// A page of messages, oldest first.
    #[serde(flatten)]
    pub page: Page<OutboxMessage>,
    /// The whole outbox, over all pages.
    pub depth: OutboxCounts,
}

/// The size of the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboxCounts {
    /// Pending messages.
    pub pending: i64,
    /// Parked messages.
    pub parked: i64,
    /// When the oldest pending message was enqueued.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When the oldest parked message was enqueued.
    pub oldest_parked_at: Option<DateTime<Utc>>,
}

/// What became of a message that was parked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboxOutcome {
    /// The position in the outbox, `SHARD/ROW`.
    pub id: String,
    /// `pending` after a retry, `skipped` after a skip.
    pub outcome: String,
}

#[cfg(test)]
mod tests {
    use super::OutboxPosition;

    #[test]
    fn a_position_is_read_as_it_is_printed() {
        let position: OutboxPosition = "12/3456".parse().unwrap();
        assert_eq!(position.to_string(), "12/3456");
        for wrong in ["", "12", "12/", "a/b", "1/2/3"] {
            assert!(wrong.parse::<OutboxPosition>().is_err(), "{wrong}");
        }
    }
}
