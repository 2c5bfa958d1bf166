//! What an operator does with messages: looks at those that wait, decides about those that are parked, and sends once more
//! what a broker has lost.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::tx::{Sql, Tx};

/// A message that waits, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRow {
    /// The shard.
    pub shard: i64,
    /// The row's number within it.
    pub id: i64,
    /// The id that receivers deduplicate by.
    pub event_id: Uuid,
    /// The Kafka topic.
    pub topic: String,
    /// Its order holds among the messages of this key.
    pub ordering_key: String,
    /// The place in that order.
    pub key_seq: i64,
    /// Whether it is parked: set aside until somebody decides.
    pub parked: bool,
    /// How many sends have failed for a reason of its own.
    pub attempts: u32,
    /// When it is tried again.
    pub not_before: DateTime<Utc>,
    /// Why it is parked.
    pub error_code: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Bytes of its envelope.
    pub size_bytes: i64,
}

/// The messages of a topic that were sent within some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCount {
    /// The topic.
    pub topic: String,
    /// Messages.
    pub messages: i64,
    /// Bytes of their envelopes.
    pub bytes: i64,
    /// When the first of them was acknowledged.
    pub first_at: DateTime<Utc>,
    /// When the last was.
    pub last_at: DateTime<Utc>,
}

const WAITING: Sql = Sql::both(
    "outbox",
    "list messages that wait",
    "SELECT shard, id, event_id, topic, ordering_key, key_seq, CAST(CASE WHEN state = 2 THEN 1 ELSE 0 END AS BIGINT), attempts, not_before, error_code, \
     created_at, CAST(length(payload) AS BIGINT) FROM outbox ORDER BY created_at, shard, id LIMIT $1",
);

const UNPARK: Sql = Sql::both(
    "outbox",
    "send a parked message again",
    "UPDATE outbox SET state = 0, attempts = 0, error_code = NULL, not_before = $1 \
     WHERE shard = $2 AND id = $3 AND state = 2",
);

/// Without a place on the bus, which tells it from what was sent.
const ARCHIVE_SKIPPED: Sql = Sql::both(
    "outbox_sent",
    "archive a skipped message",
    "INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
     kafka_partition, kafka_offset, sent_at) \
     SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, NULL, NULL, $1 \
     FROM outbox WHERE shard = $2 AND id = $3 AND state = 2",
);

const SKIP: Sql = Sql::both(
    "outbox",
    "skip a parked message",
    "DELETE FROM outbox WHERE shard = $1 AND id = $2 AND state = 2",
);

const SENT_BY_TOPIC: Sql = Sql::both(
    "outbox_sent",
    "count sent messages",
    "SELECT topic, CAST(count(*) AS BIGINT), CAST(sum(length(payload)) AS BIGINT), min(sent_at), max(sent_at) \
     FROM outbox_sent WHERE sent_at >= $1 AND sent_at <= $2 AND kafka_offset IS NOT NULL GROUP BY topic ORDER BY topic",
);

/// A message that was sent twice has two rows in the archive, and one that waits again has its row in the outbox already: the
/// event's id keeps each of them single. Nothing of a row changes but its number and its age in the queue.
const SEND_AGAIN: Sql = Sql::both(
    "outbox",
    "send messages once more",
    "INSERT INTO outbox (shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, not_before, created_at) \
     SELECT shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, $1, $1 FROM outbox_sent \
     WHERE shard = $2 AND sent_at >= $3 AND sent_at <= $4 AND kafka_offset IS NOT NULL ORDER BY sent_at, key_seq \
     ON CONFLICT (shard, event_id) DO NOTHING",
);

/// Only what is in the outbox now: a message that a relay archives at this moment stays archived.
const FORGET_SENT: Sql = Sql::both(
    "outbox_sent",
    "take messages out of the archive",
    "DELETE FROM outbox_sent WHERE shard = $1 AND sent_at >= $2 AND sent_at <= $3 AND kafka_offset IS NOT NULL \
     AND EXISTS (SELECT 1 FROM outbox o WHERE o.shard = outbox_sent.shard AND o.event_id = outbox_sent.event_id)",
);

/// A shard's share of a week may take longer than what a request may wait for.
const TAKE_TIME: Sql = Sql::both("outbox_sent", "ask for time", "SET LOCAL statement_timeout = '10min'");

impl Tx {
    /// The messages that wait and those that are parked, oldest first.
    pub async fn outbox_rows(&mut self, limit: u32) -> Result<Vec<WaitingRow>, Error> {
        self.all(WAITING, params![limit], |row| {
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

    /// Has a parked message sent again, with its key behind it; false when there is none of this number.
    pub async fn unpark_outbox(&mut self, shard: i64, id: i64) -> Result<bool, Error> {
        let now = self.now();
        Ok(self.exec(UNPARK, params![now, shard, id]).await? == 1)
    }

    /// Gives a parked message up, so that its key goes on without it; false when there is none of this number. Its bytes stay
    /// in the archive as long as those of a sent one, without a place on the bus.
    pub async fn skip_outbox(&mut self, shard: i64, id: i64) -> Result<bool, Error> {
        let now = self.now();
        self.exec(ARCHIVE_SKIPPED, params![now, shard, id]).await?;
        Ok(self.exec(SKIP, params![shard, id]).await? == 1)
    }

    /// What was acknowledged from `since` to `until`, by topic.
    pub async fn sent_by_topic(
        &mut self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<SentCount>, Error> {
        self.take_time().await?;
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

    /// Puts what was acknowledged for a shard from `since` to `until` back into the outbox: the same event ids, bytes and
    /// order. A message that waits already is left as it is. Says how many wait now that did not.
    ///
    /// A whole shard at once, because a key is of one shard: were its messages put back in parts, one that waits now could
    /// leave between two of them.
    pub async fn send_again(
        &mut self,
        shard: i64,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<u64, Error> {
        self.take_time().await?;
        let now = self.now();
        let again = self.exec(SEND_AGAIN, params![now, shard, since, until]).await?;
        self.exec(FORGET_SENT, params![shard, since, until]).await?;
        Ok(again)
    }

    async fn take_time(&mut self) -> Result<(), Error> {
        if self.is_sqlite() { Ok(()) } else { self.exec(TAKE_TIME, &[]).await.map(drop) }
    }
}
