//! Operator queries: list pending messages, unpark or skip parked ones, and resend sent ones that a broker has lost.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::sql::Sql;
use crate::tx::Tx;

/// A pending or parked message, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRow {
    /// The shard.
    pub shard: i64,
    /// The row id within the shard.
    pub id: i64,
    /// The event id, which receivers deduplicate by.
    pub event_id: Uuid,
    /// The Kafka topic.
    pub topic: String,
    /// The key within which messages are ordered.
    pub ordering_key: String,
    /// The position within the ordering key.
    pub key_seq: i64,
    /// Whether it is parked: not sent until an operator decides.
    pub parked: bool,
    /// Failed attempts that were due to this message.
    pub attempts: u32,
    /// When it is due.
    pub not_before: DateTime<Utc>,
    /// The error code, if it is parked.
    pub error_code: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The size of its envelope in bytes.
    pub size_bytes: i64,
}

/// The place of a message in the list of pending and parked messages: oldest first, then by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPlace {
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The shard.
    pub shard: i64,
    /// The row id within the shard.
    pub id: i64,
}

impl OutboxPlace {
    /// Before all messages.
    const FIRST: Self = Self { created_at: DateTime::UNIX_EPOCH, shard: i64::MIN, id: i64::MIN };
}

/// The messages of a topic that were acknowledged within a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCount {
    /// The topic.
    pub topic: String,
    /// Number of messages.
    pub messages: i64,
    /// Total size of their envelopes in bytes.
    pub bytes: i64,
    /// When the first was acknowledged.
    pub first_at: DateTime<Utc>,
    /// When the last was acknowledged.
    pub last_at: DateTime<Utc>,
}

const WAITING: Sql = Sql::both(
    "outbox",
    "list pending messages",
    "SELECT shard, id, event_id, topic, ordering_key, key_seq, CAST(CASE WHEN state = 2 THEN 1 ELSE 0 END AS BIGINT), attempts, not_before, error_code, \
     created_at, CAST(length(payload) AS BIGINT) FROM outbox \
     WHERE (created_at, shard, id) > ($1, $2, $3) ORDER BY created_at, shard, id LIMIT $4",
);

/// On PostgreSQL, the row is looked up in the order of the primary key, as in the relay's statements (decision 15).
const UNPARK: Sql = Sql::each(
    "outbox",
    "unpark a message",
    "UPDATE outbox SET state = 0, attempts = 0, error_code = NULL, not_before = $1 WHERE ctid = ( \
       SELECT ctid FROM outbox WHERE shard = $2 AND id >= $3 AND id <= $3 ORDER BY id LIMIT 1) AND state = 2",
    "UPDATE outbox SET state = 0, attempts = 0, error_code = NULL, not_before = $1 \
     WHERE shard = $2 AND id = $3 AND state = 2",
);

/// Archived without partition and offset, which distinguishes a skipped message from a sent one. Looked up as in [`UNPARK`].
const ARCHIVE_SKIPPED: Sql = Sql::each(
    "outbox_sent",
    "archive a skipped message",
    "INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, sent_at) \
     SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, NULL, NULL, $1 \
     FROM outbox WHERE ctid = ( \
       SELECT ctid FROM outbox WHERE shard = $2 AND id >= $3 AND id <= $3 ORDER BY id LIMIT 1) AND state = 2",
    "INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, sent_at) \
     SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, NULL, NULL, $1 \
     FROM outbox WHERE shard = $2 AND id = $3 AND state = 2",
);

/// Looked up as in [`UNPARK`].
const SKIP: Sql = Sql::each(
    "outbox",
    "skip a parked message",
    "DELETE FROM outbox WHERE ctid = ( \
       SELECT ctid FROM outbox WHERE shard = $1 AND id >= $2 AND id <= $2 ORDER BY id LIMIT 1) AND state = 2",
    "DELETE FROM outbox WHERE shard = $1 AND id = $2 AND state = 2",
);

const SENT_BY_TOPIC: Sql = Sql::both(
    "outbox_sent",
    "count sent messages",
    "SELECT topic, CAST(count(*) AS BIGINT), CAST(sum(length(payload)) AS BIGINT), min(sent_at), max(sent_at) \
     FROM outbox_sent WHERE sent_at >= $1 AND sent_at <= $2 AND kafka_offset IS NOT NULL GROUP BY topic ORDER BY topic",
);

/// A message that was sent twice has two rows in the archive, and one that is pending again has a row in the outbox: the
/// conflict on the event id keeps one row of each. Only the row id and the times of a message change.
const RESEND: Sql = Sql::both(
    "outbox",
    "resend messages",
    "INSERT INTO outbox (shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, not_before, created_at) \
     SELECT shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, $1, $1 FROM outbox_sent \
     WHERE shard = $2 AND sent_at >= $3 AND sent_at <= $4 AND kafka_offset IS NOT NULL ORDER BY sent_at, key_seq \
     ON CONFLICT (shard, event_id) DO NOTHING",
);

/// Deletes only messages that are in the outbox now: one that a relay archives concurrently stays archived.
const DELETE_RESENT: Sql = Sql::both(
    "outbox_sent",
    "delete resent messages from the archive",
    "DELETE FROM outbox_sent WHERE shard = $1 AND sent_at >= $2 AND sent_at <= $3 AND kafka_offset IS NOT NULL \
     AND EXISTS (SELECT 1 FROM outbox o WHERE o.shard = outbox_sent.shard AND o.event_id = outbox_sent.event_id)",
);

/// A week of messages of a shard may take longer than the 5 s of a request's statement; 10 min is chosen.
const EXTEND_TIMEOUT: Sql =
    Sql::both("outbox_sent", "extend the statement time-out", "SET LOCAL statement_timeout = '10min'");

impl Tx {
    /// A page of pending and parked messages, oldest first: at most `limit` after a place; without one, from the oldest.
    pub async fn outbox_rows(
        &mut self,
        after: Option<OutboxPlace>,
        limit: u32,
    ) -> Result<Vec<WaitingRow>, Error> {
        let OutboxPlace { created_at, shard, id } = after.unwrap_or(OutboxPlace::FIRST);
        self.all(WAITING, params![created_at, shard, id, limit], |row| {
            Ok(WaitingRow {
                shard: row.get(0)?,
                id: row.get(1)?,
                event_id: row.get(2)?,
                topic: row.get(3)?,
                ordering_key: row.get(4)?,
                key_seq: row.get(5)?,
                parked: row.get(6)?,
                attempts: row.get(7)?,
                not_before: row.get(8)?,
                error_code: row.get(9)?,
                created_at: row.get(10)?,
                size_bytes: row.get(11)?,
            })
        })
        .await
    }

    /// Makes a parked message pending again, which unblocks its ordering key; returns false if no parked message has this id.
    pub async fn unpark_outbox(&mut self, shard: i64, id: i64) -> Result<bool, Error> {
        let now = self.now();
        Ok(self.exec(UNPARK, params![now, shard, id]).await? == 1)
    }

    /// Skips a parked message, so that the later messages of its ordering key are sent; returns false if no parked message has
    /// this id. It is archived like a sent one, but without partition and offset.
    pub async fn skip_outbox(&mut self, shard: i64, id: i64) -> Result<bool, Error> {
        let now = self.now();
        self.exec(ARCHIVE_SKIPPED, params![now, shard, id]).await?;
        Ok(self.exec(SKIP, params![shard, id]).await? == 1)
    }

    /// The messages acknowledged from `since` to `until`, counted by topic.
    pub async fn sent_by_topic(
        &mut self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<SentCount>, Error> {
        self.extend_timeout().await?;
        self.all(SENT_BY_TOPIC, params![since, until], |row| {
            Ok(SentCount {
                topic: row.get(0)?,
                messages: row.get(1)?,
                bytes: row.get(2)?,
                first_at: row.get(3)?,
                last_at: row.get(4)?,
            })
        })
        .await
    }

    /// Moves the messages of a shard that were acknowledged from `since` to `until` back to the outbox, with the same event
    /// ids, payloads and order. A message that is pending already is not changed. Returns the number of added messages.
    ///
    /// Takes a whole shard at once, because an ordering key belongs to one shard: if its messages were moved in parts, a
    /// pending message could be sent between two of them.
    pub async fn resend(
        &mut self,
        shard: i64,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<u64, Error> {
        self.extend_timeout().await?;
        let now = self.now();
        let again = self.exec(RESEND, params![now, shard, since, until]).await?;
        self.exec(DELETE_RESENT, params![shard, since, until]).await?;
        Ok(again)
    }

    async fn extend_timeout(&mut self) -> Result<(), Error> {
        if self.is_sqlite() { Ok(()) } else { self.exec(EXTEND_TIMEOUT, &[]).await.map(drop) }
    }
}
