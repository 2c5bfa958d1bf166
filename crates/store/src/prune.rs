//! Deleting what has served its time, a chunk per call: by terminal state *and* age, never by age alone.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, params};
use crate::tx::{Sql, Tx, TxInner};

/// A batch that was started again has no end and is not here. One that somebody works on is left for the next call.
const ENDED: Sql = Sql::each(
    "batches",
    "find batches to prune",
    "SELECT batch_id, shard FROM batches WHERE ended_at < $1 \
     AND status IN ('completed_successfully', 'completed_with_failures', 'failed', 'cancelled') \
     ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED",
    "SELECT batch_id, shard FROM batches WHERE ended_at < $1 \
     AND status IN ('completed_successfully', 'completed_with_failures', 'failed', 'cancelled') \
     ORDER BY ended_at LIMIT $2",
);

/// Deletes a batch's rows from a table whose key begins with the batch.
macro_rules! of_batch {
    ($table:literal) => {
        Sql::each(
            $table,
            "prune batches",
            concat!("DELETE FROM ", $table, " WHERE batch_id IN (SELECT UNNEST($1::uuid[]))"),
            concat!("DELETE FROM ", $table, " WHERE batch_id = $1"),
        )
    };
}

/// Deletes a batch's rows from a table whose key begins with the shard.
macro_rules! of_shard {
    ($table:literal) => {
        Sql::each(
            $table,
            "prune batches",
            concat!(
                "DELETE FROM ",
                $table,
                " t USING UNNEST($1::bigint[], $2::uuid[]) AS n (shard, batch_id) \
                 WHERE t.shard = n.shard AND t.batch_id = n.batch_id"
            ),
            concat!("DELETE FROM ", $table, " WHERE shard = $1 AND batch_id = $2"),
        )
    };
}

/// The batch itself goes last.
const OF_BATCH: [Sql; 6] = [
    of_batch!("labels"),
    of_batch!("essay_phases"),
    of_batch!("essays"),
    of_batch!("timeline"),
    of_batch!("inbox"),
    of_batch!("batches"),
];
const OF_SHARD: [Sql; 2] = [of_shard!("staged_texts"), of_shard!("timers")];

/// An event about a batch comes after the batch was made, and a batch id begins with that time: so the old part of the
/// primary key is all that needs to be looked at.
const INBOX: Sql = Sql::both(
    "inbox",
    "prune the inbox",
    "DELETE FROM inbox WHERE (batch_id, consumer, event_id) IN ( \
       SELECT batch_id, consumer, event_id FROM inbox WHERE batch_id < $1 AND at < $2 ORDER BY batch_id LIMIT $3)",
);

const IDEMPOTENCY: Sql = Sql::both(
    "idempotency",
    "prune idempotency keys",
    "DELETE FROM idempotency WHERE (slot, principal, route, idem_key) IN ( \
       SELECT slot, principal, route, idem_key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
);

const SENT: Sql = Sql::both(
    "outbox_sent",
    "prune sent messages",
    "DELETE FROM outbox_sent WHERE (sent_at, shard, id) IN ( \
       SELECT sent_at, shard, id FROM outbox_sent WHERE sent_at < $1 ORDER BY sent_at LIMIT $2)",
);

/// Times rise with ids, so the first young record ends the search.
const LOG: Sql = Sql::both(
    "local_log",
    "prune the local log",
    "DELETE FROM local_log WHERE id IN (SELECT id FROM local_log \
       WHERE id < COALESCE((SELECT id FROM local_log WHERE at >= $1 ORDER BY id LIMIT 1), 9223372036854775807) \
       AND id < (SELECT COALESCE(min(next_id), 0) FROM local_log_positions) ORDER BY id LIMIT $2)",
);

impl Tx {
    /// Deletes batches that ended before `before`, with everything of theirs, at most `limit` batches. Says how many.
    pub async fn prune_batches(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let ended: Vec<(BatchId, i64)> =
            self.all(ENDED, params![before, limit], |row| Ok((row.get(0)?, row.get(1)?))).await?;
        let in_shards: Vec<_> = ended.iter().map(|(id, shard)| [Param::from(*shard), (*id).into()]).collect();
        for table in OF_SHARD {
            self.exec_many(table, &[], &in_shards).await?;
        }
        let ids: Vec<_> = ended.iter().map(|(id, _)| [Param::from(*id)]).collect();
        for table in OF_BATCH {
            self.exec_many(table, &[], &ids).await?;
        }
        Ok(ended.len() as u64)
    }

    /// Forgets events applied before `before`, at most `limit`. Says how many.
    pub async fn prune_inbox(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(INBOX, params![first_id_of(before), before, limit]).await
    }

    /// Forgets answers given before `before`, at most `limit`. Says how many.
    pub async fn prune_idempotency(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(IDEMPOTENCY, params![before, limit]).await
    }

    /// Deletes messages sent before `before`, at most `limit`. Says how many.
    pub async fn prune_sent(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(SENT, params![before, limit]).await
    }

    /// Deletes messages sent on a day that was over before `before`, at most `limit`. Says how many. The rest of a day goes with
    /// its partition, where it has one.
    pub async fn prune_sent_days(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let day = before.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        self.prune_sent(day, limit).await
    }

    /// SQLite: deletes records of the local log that every consumer has passed and that are older than `before`, at most
    /// `limit`. Says how many.
    pub async fn prune_log(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        if matches!(self.inner, TxInner::Postgres(..)) {
            // There is no embedded log.
            return Ok(0);
        }
        self.exec(LOG, params![before, limit]).await
    }
}

/// Below every id made at `at` or later.
fn first_id_of(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}
