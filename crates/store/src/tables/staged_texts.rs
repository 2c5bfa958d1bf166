//! `staged_texts`: texts that are not yet stored in the Content Service. No other table holds texts.

use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, StorageId};
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, params};
use crate::private::Private;
use crate::row::Row;
use crate::sql::Sql;
use crate::tables::LowWaterMark;
use crate::tx::Tx;

/// The staged text of an essay.
#[derive(Clone, Copy)]
pub enum StagedText<'a> {
    /// The text, to be uploaded.
    Body(&'a [u8]),
    /// The id of a text that the client has stored, to be verified.
    Reference(&'a StorageId),
}

impl std::fmt::Debug for StagedText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Body(body) => write!(f, "Body({} bytes)", body.len()),
            Self::Reference(id) => write!(f, "Reference({id})"),
        }
    }
}

/// A staged text that is due.
#[derive(Debug, Clone)]
pub struct StagedRow {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The batch.
    pub batch: BatchId,
    /// The essay.
    pub essay: EssayId,
    /// The text; `None` for a reference.
    pub body: Option<Private<Vec<u8>>>,
    /// The reference; `None` for a text.
    pub reference: Option<StorageId>,
    /// Failed attempts that were due to this text.
    pub attempts: u32,
}

/// The amount of staged texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StagedDepth {
    /// Number of texts.
    pub rows: i64,
    /// Total size in bytes.
    pub bytes: i64,
    /// When the oldest batch with staged texts was created; `None` if there is none.
    pub oldest_at: Option<DateTime<Utc>>,
}

const INSERT: Sql = Sql::both(
    "staged_texts",
    "stage texts",
    "INSERT INTO staged_texts (shard, batch_id, essay_id, not_before, attempts, reference, body) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

/// The inner queries read keys and lengths only; a body is read only if it fits. No query sorts the whole queue, so the cost
/// does not grow with its length. Bodies are looked up one by one (`LIMIT 1`), because with statistics from when the queue was
/// empty PostgreSQL plans a join that compares each text with every other: 400 ms for 500 texts (measured).
const DUE: Sql = Sql::each(
    "staged_texts",
    "list staged texts",
    "SELECT due.shard, due.batch_id, due.essay_id, s.body, s.reference, s.attempts FROM ( \
       SELECT shard, batch_id, essay_id, size, \
              sum(size) OVER (ORDER BY batch_id, essay_id ROWS UNBOUNDED PRECEDING) AS so_far FROM ( \
         SELECT t.* FROM UNNEST($4::bigint[], $5::uuid[]) AS n (shard, low) CROSS JOIN LATERAL ( \
           SELECT shard, batch_id, essay_id, COALESCE(length(body), 0) AS size FROM staged_texts t \
           WHERE t.shard = n.shard AND t.batch_id >= n.low AND not_before <= $1 ORDER BY shard, batch_id, essay_id LIMIT $2) AS t \
         LIMIT $2) AS next) AS due \
     CROSS JOIN LATERAL ( \
       SELECT body, reference, attempts FROM staged_texts s \
       WHERE s.shard = due.shard AND s.batch_id = due.batch_id AND s.essay_id = due.essay_id LIMIT 1) AS s \
     WHERE due.so_far <= $3 OR due.so_far = due.size ORDER BY due.batch_id, due.essay_id",
    "SELECT s.shard, s.batch_id, s.essay_id, s.body, s.reference, s.attempts FROM ( \
       SELECT batch_id, essay_id, size, \
              sum(size) OVER (ORDER BY batch_id, essay_id ROWS UNBOUNDED PRECEDING) AS so_far FROM ( \
         SELECT batch_id, essay_id, COALESCE(length(body), 0) AS size FROM staged_texts \
         WHERE shard = ?4 AND batch_id >= ?5 AND not_before <= ?1 ORDER BY batch_id, essay_id LIMIT ?2) AS next) AS due \
     JOIN staged_texts s ON s.shard = ?4 AND s.batch_id = due.batch_id AND s.essay_id = due.essay_id \
     WHERE due.so_far <= ?3 OR due.so_far = due.size ORDER BY s.batch_id, s.essay_id",
);

const LOW: Sql = Sql::each(
    "staged_texts",
    "find the first staged texts",
    "SELECT n.shard, t.batch_id FROM UNNEST($1::bigint[], $2::uuid[]) AS n (shard, low) CROSS JOIN LATERAL ( \
       SELECT batch_id FROM staged_texts t WHERE t.shard = n.shard AND t.batch_id >= n.low \
       ORDER BY t.shard, t.batch_id LIMIT 1) AS t",
    "SELECT shard, batch_id FROM staged_texts WHERE shard = ?1 AND batch_id >= ?2 ORDER BY shard, batch_id LIMIT 1",
);

const POSTPONE: Sql = Sql::each(
    "staged_texts",
    "postpone staged texts",
    "UPDATE staged_texts s SET not_before = $1, attempts = s.attempts + $2 FROM UNNEST($5::uuid[]) AS n (essay_id) \
     WHERE s.shard = $3 AND s.batch_id = $4 AND s.essay_id = n.essay_id",
    "UPDATE staged_texts SET not_before = $1, attempts = attempts + $2 \
     WHERE shard = $3 AND batch_id = $4 AND essay_id = $5",
);

const DELETE: Sql = Sql::each(
    "staged_texts",
    "delete staged texts",
    "DELETE FROM staged_texts s USING UNNEST($3::uuid[]) AS n (essay_id) \
     WHERE s.shard = $1 AND s.batch_id = $2 AND s.essay_id = n.essay_id",
    "DELETE FROM staged_texts WHERE shard = $1 AND batch_id = $2 AND essay_id = $3",
);

const DELETE_ALL: Sql = Sql::both(
    "staged_texts",
    "delete the staged texts of a batch",
    "DELETE FROM staged_texts WHERE shard = $1 AND batch_id = $2",
);

/// A batch id begins with its creation time, so the smallest id is the oldest. PostgreSQL has `min` of UUIDs only from version
/// 18.
const DEPTH: Sql = Sql::both(
    "staged_texts",
    "measure staged texts",
    "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(length(body)), 0) AS BIGINT), \
     (SELECT batch_id FROM staged_texts ORDER BY batch_id LIMIT 1) FROM staged_texts",
);

impl Tx {
    /// Stages texts, due at once.
    pub async fn stage_texts(
        &mut self,
        shard: i64,
        batch: BatchId,
        texts: &[(EssayId, StagedText<'_>)],
    ) -> Result<(), Error> {
        let now = self.now();
        let rows = texts.iter().map(|(essay, text)| {
            let (reference, body) = match *text {
                StagedText::Body(body) => (Param::Text(None), Param::from(body)),
                StagedText::Reference(id) => (Param::from(id), Param::Bytes(None)),
            };
            [shard.into(), batch.into(), (*essay).into(), now.into(), Param::from(0_u32), reference, body]
        });
        self.insert_many_deferred(INSERT, "", rows).await
    }

    /// The due staged texts of these shards, oldest batch first, from each shard's low-water mark on: at most `limit_rows`, of
    /// at most `limit_bytes` in total, but at least one. A mark is the smallest batch id that may have staged texts.
    pub async fn due_staged(
        &mut self,
        from: &[LowWaterMark<Uuid>],
        now: DateTime<Utc>,
        limit_rows: u32,
        limit_bytes: i64,
    ) -> Result<Vec<StagedRow>, Error> {
        self.all_many(DUE, params![now, limit_rows, limit_bytes], &LowWaterMark::rows(from), |row| {
            Ok(StagedRow {
                shard: row.get(0)?,
                batch: row.get(1)?,
                essay: row.get(2)?,
                body: row.get::<Option<Vec<u8>>>(3)?.map(Private),
                reference: row.get(4)?,
                attempts: row.get(5)?,
            })
        })
        .await
    }

    /// The first batch with staged texts, due or not, of each of these shards from its low-water mark on. Shards without one
    /// are omitted. A mark made of it saves the scan of deleted rows that a transaction elsewhere keeps from being skipped. Search
    /// from the start periodically, since a batch with a smaller id may commit late.
    pub async fn staged_low(
        &mut self,
        from: &[LowWaterMark<Uuid>],
    ) -> Result<Vec<LowWaterMark<Uuid>>, Error> {
        let low = |row: &Row<'_>| Ok(LowWaterMark { shard: row.get(0)?, low: row.get(1)? });
        self.all_many(LOW, &[], &LowWaterMark::rows(from), low).await
    }

    /// Postpones staged texts until `not_before`. `counted` adds an attempt, for a failure that was due to the texts; an
    /// unreachable Content Service adds none.
    pub async fn postpone_staged(
        &mut self,
        shard: i64,
        batch: BatchId,
        essays: &[EssayId],
        not_before: DateTime<Utc>,
        counted: bool,
    ) -> Result<(), Error> {
        let fixed = params![not_before, counted, shard, batch];
        self.exec_many(POSTPONE, fixed, &keys(essays)).await.map(drop)
    }

    /// Deletes staged texts.
    pub async fn delete_staged(
        &mut self,
        shard: i64,
        batch: BatchId,
        essays: &[EssayId],
    ) -> Result<(), Error> {
        self.exec_many_deferred(DELETE, params![shard, batch], &keys(essays)).await
    }

    /// Deletes all staged texts of a batch; returns how many.
    pub async fn delete_all_staged(&mut self, shard: i64, batch: BatchId) -> Result<u64, Error> {
        self.exec(DELETE_ALL, params![shard, batch]).await
    }

    /// The amount of staged texts of all shards.
    pub async fn staged_depth(&mut self) -> Result<StagedDepth, Error> {
        let depth = self
            .one(DEPTH, &[], |row| {
                let oldest = row.get::<Option<BatchId>>(2)?;
                Ok(StagedDepth {
                    rows: row.get(0)?,
                    bytes: row.get(1)?,
                    oldest_at: oldest.map(BatchId::made_at),
                })
            })
            .await?;
        Ok(depth.unwrap_or_default())
    }
}

fn keys(essays: &[EssayId]) -> Vec<[Param<'static>; 1]> {
    essays.iter().map(|essay| [(*essay).into()]).collect()
}
