//! Pending and parked messages of the outbox.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use client::documents::{
    OutboxCounts, OutboxList, OutboxMessage, OutboxOutcome, OutboxPosition, OutboxState,
};
use store::{Lane, OutboxDepth, OutboxPlace, Store, WaitingRow};

use super::BadCursor;
use crate::paging;

fn message(row: WaitingRow, now: DateTime<Utc>) -> OutboxMessage {
    OutboxMessage {
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

fn counts(depth: OutboxDepth) -> OutboxCounts {
    let OutboxDepth { pending, parked, oldest_at, oldest_parked_at } = depth;
    OutboxCounts { pending, parked, oldest_at, oldest_parked_at }
}

/// The cursor of the list: the place of the last message of a page, written `MICROSECONDS/SHARD/ROW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxCursor(OutboxPlace);

impl FromStr for OutboxCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let place = || {
            let (at, position) = text.split_once('/')?;
            let OutboxPosition { shard, row } = position.parse().ok()?;
            Some(OutboxPlace { created_at: paging::cursor_time(at)?, shard, id: row })
        };
        place().map(Self).ok_or(BadCursor)
    }
}

impl fmt::Display for OutboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutboxPlace { created_at, shard, id } = self.0;
        write!(f, "{}/{shard}/{id}", created_at.timestamp_micros())
    }
}

impl OutboxCursor {
    fn after(row: &WaitingRow) -> Self {
        Self(OutboxPlace { created_at: row.created_at, shard: row.shard, id: row.id })
    }
}

/// A page of messages, oldest first: at most `limit` after a cursor; without one, from the oldest. With the size of the outbox.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    after: Option<OutboxCursor>,
    limit: u32,
) -> Result<OutboxList, store::Error> {
    let after = after.map(|cursor| cursor.0);
    let read = store.read(move |tx| {
        Box::pin(
            async move { Ok((tx.outbox_rows(after, limit + 1).await?, tx.outbox_depth().await?, tx.now())) },
        )
    });
    let (rows, depth, now) = read.await?;
    let page = paging::page(rows, limit, |last| OutboxCursor::after(last).to_string());
    Ok(OutboxList { page: paging::map(page, |row| message(row, now)), depth: counts(depth) })
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
    use super::{BadCursor, OutboxCursor};

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let text = "1700000000000001/12/3456";
        let cursor: OutboxCursor = text.parse().unwrap();
        assert_eq!((cursor.0.id, cursor.to_string().as_str()), (3456, text));
        for wrong in ["", "7", "7/12", "x/12/3456", "7/12/3456/7", "9223372036854775807/12/3456"] {
            assert_eq!(wrong.parse::<OutboxCursor>(), Err(BadCursor), "{wrong}");
        }
    }
}
