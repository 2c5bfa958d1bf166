//! Pending and parked messages of the outbox.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::{Lane, OutboxDepth, Store, WaitingRow};
use utoipa::ToSchema;
use uuid::Uuid;

/// The position of a message in the outbox, written `SHARD/ROW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPosition {
    /// The shard.
    pub shard: i64,
    /// The row id within the shard.
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

impl OutboxMessage {
    fn new(row: WaitingRow, now: DateTime<Utc>) -> Self {
        Self {
            id: OutboxPosition { shard: row.shard, row: row.id }.to_string(),
            state: if row.parked { OutboxState::Parked } else { OutboxState::Pending },
            topic: row.topic,
            key: row.ordering_key,
            key_seq: row.key_seq,
            event_id: row.event_id,
            size_bytes: row.size_bytes,
            age_seconds: (now - row.created_at).num_seconds(),
            attempts: row.attempts,
            not_before: row.not_before,
            error_code: row.error_code,
        }
    }
}

/// The oldest messages of the outbox, and the size of all of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutboxList {
    /// Messages, oldest first.
    pub data: Vec<OutboxMessage>,
    /// The whole outbox, whatever the limit of the list.
    pub depth: OutboxCounts,
}

/// The size of the outbox.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
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

impl From<OutboxDepth> for OutboxCounts {
    fn from(depth: OutboxDepth) -> Self {
        let OutboxDepth { pending, parked, oldest_at, oldest_parked_at } = depth;
        Self { pending, parked, oldest_at, oldest_parked_at }
    }
}

/// Lists at most `limit` messages, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, limit: u32) -> Result<OutboxList, store::Error> {
    let read = store.read(move |tx| {
        Box::pin(async move { Ok((tx.outbox_rows(limit).await?, tx.outbox_depth().await?, tx.now())) })
    });
    let (rows, depth, now) = read.await?;
    let data = rows.into_iter().map(|row| OutboxMessage::new(row, now)).collect();
    Ok(OutboxList { data, depth: depth.into() })
}

/// What an operator decides about a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it again.
    Retry,
    /// Continue without it.
    Skip,
}

impl Decision {
    /// The verb, as the last segment of the path has it.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
}

/// What became of a message that was parked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutboxOutcome {
    /// The position in the outbox, `SHARD/ROW`.
    pub id: String,
    /// `pending` after a retry, `skipped` after a skip.
    pub outcome: String,
}

/// Retries or skips a parked message. Returns `None` when no parked message has this position.
///
/// # Errors
/// When the database does not answer.
pub async fn decide(
    store: &Store,
    position: OutboxPosition,
    decision: Decision,
) -> Result<Option<OutboxOutcome>, store::Error> {
    let OutboxPosition { shard, row } = position;
    let unit = store.unit(Lane::Caller, move |tx| {
        Box::pin(async move {
            match decision {
                Decision::Retry => tx.unpark_outbox(shard, row).await,
                Decision::Skip => tx.skip_outbox(shard, row).await,
            }
        })
    });
    let was_parked: bool = unit.await?;
    let outcome = match decision {
        Decision::Retry => "pending",
        Decision::Skip => "skipped",
    };
    Ok(was_parked.then(|| OutboxOutcome { id: position.to_string(), outcome: outcome.to_owned() }))
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
