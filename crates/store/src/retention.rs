//! Deletion of old rows, a chunk per call. Batches are deleted by state *and* age, never by age alone.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, params};
use crate::sql::Sql;
use crate::tx::{Tx, TxInner};

/// `ended_at` is set exactly while a batch is in a terminal status: ending a batch sets it and a new run clears it
/// (`domain/src/decide`). So the statement needs no list of statuses, and reads only the index of ended batches. A batch that
/// is locked by another unit is left to a later call.
const ENDED: Sql = Sql::each(
    "batches",
    "find batches to prune",
    "SELECT batch_id, shard FROM batches WHERE ended_at < $1 \
     ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED",
    "SELECT batch_id, shard FROM batches WHERE ended_at < $1 \
     ORDER BY ended_at LIMIT $2",
);

/// Deletes the rows of batches from a table whose key begins with the batch id.
macro_rules! delete_by_batch {
    ($table:literal) => {
        Sql::each(
            $table,
            "prune batches",
            concat!("DELETE FROM ", $table, " WHERE batch_id IN (SELECT UNNEST($1::uuid[]))"),
            concat!("DELETE FROM ", $table, " WHERE batch_id = $1"),
        )
    };
}

/// Deletes the rows of batches from a table whose key begins with the shard.
macro_rules! delete_by_shard {
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

/// `batches` comes last.
const BY_BATCH: [Sql; 6] = [
    delete_by_batch!("labels"),
    delete_by_batch!("essay_phases"),
    delete_by_batch!("essays"),
    delete_by_batch!("timeline"),
    delete_by_batch!("inbox"),
    delete_by_batch!("batches"),
];
const BY_SHARD: [Sql; 2] = [delete_by_shard!("staged_texts"), delete_by_shard!("timers")];

/// A batch id begins with its creation time, and an event about a batch is recorded after that. So all rows older than `$2`
/// have a batch id below the one of that time (`$1`), and only this range of the primary key is read.
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

/// Times ascend with ids, so the search ends at the first record that is too young.
const LOG: Sql = Sql::both(
    "local_log",
    "prune the local log",
    "DELETE FROM local_log WHERE id IN (SELECT id FROM local_log \
       WHERE id < COALESCE((SELECT id FROM local_log WHERE at >= $1 ORDER BY id LIMIT 1), 9223372036854775807) \
       AND id < (SELECT COALESCE(min(next_id), 0) FROM local_log_positions) ORDER BY id LIMIT $2)",
);

/// Batch ids begin with their creation time.
const NEWEST: Sql = Sql::both(
    "batches",
    "find the newest batch",
    "SELECT created_at FROM batches ORDER BY batch_id DESC LIMIT 1",
);

impl Tx {
    /// When the newest batch was created; `None` without batches.
    pub async fn newest_batch(&mut self) -> Result<Option<DateTime<Utc>>, Error> {
        self.one(NEWEST, &[], |row| row.get(0)).await
    }

    /// Deletes at most `limit` batches that ended before `before`, with their rows in all tables but `outbox_sent`,
    /// `dead_letters` and `idempotency`, which are pruned by age. Returns the number of batches.
    pub async fn prune_batches(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let ended: Vec<(BatchId, i64)> =
            self.all(ENDED, params![before, limit], |row| Ok((row.get(0)?, row.get(1)?))).await?;
        let in_shards: Vec<_> = ended.iter().map(|(id, shard)| [Param::from(*shard), (*id).into()]).collect();
        for table in BY_SHARD {
            self.exec_many(table, &[], &in_shards).await?;
        }
        let ids: Vec<_> = ended.iter().map(|(id, _)| [Param::from(*id)]).collect();
        for table in BY_BATCH {
            self.exec_many(table, &[], &ids).await?;
        }
        Ok(ended.len() as u64)
    }

    /// Deletes at most `limit` inbox rows of events applied before `before`. Returns how many.
    pub async fn prune_inbox(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(INBOX, params![first_id_at(before), before, limit]).await
    }

    /// Deletes at most `limit` idempotency keys that were claimed before `before`, with their answers. Returns how many.
    pub async fn prune_idempotency(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(IDEMPOTENCY, params![before, limit]).await
    }

    /// Deletes at most `limit` archived messages that were sent before `before`. Returns how many.
    pub async fn prune_sent(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        self.exec(SENT, params![before, limit]).await
    }

    /// Deletes at most `limit` archived messages of days (UTC) that ended before `before`. Returns how many. The day of
    /// `before` is kept whole, since it is dropped later with its partition, if it has one.
    pub async fn prune_sent_days(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let day = before.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        self.prune_sent(day, limit).await
    }

    /// SQLite: deletes at most `limit` records of the local log that are older than `before` and that every consumer has
    /// passed. Returns how many; 0 on PostgreSQL, which has no local log.
    pub async fn prune_log(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        if matches!(self.inner, TxInner::Postgres(..)) {
            return Ok(0);
        }
        self.exec(LOG, params![before, limit]).await
    }
}

/// The lower bound of the batch ids made at `at` or later.
fn first_id_at(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}
