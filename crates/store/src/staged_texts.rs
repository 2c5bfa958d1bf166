//! `staged_texts`: texts on their way to the Content Service, and the only place in the database that holds any.

use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, StorageId};

use crate::error::Error;
use crate::param::{Param, params};
use crate::private::Private;
use crate::tx::{Sql, Tx};

/// What is staged for an essay.
#[derive(Clone, Copy)]
pub enum StagedText<'a> {
    /// The text itself, to be uploaded.
    Body(&'a [u8]),
    /// A text that the client says is stored already, to be looked for.
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

/// A staged text whose time has come.
#[derive(Debug, Clone)]
pub struct StagedRow {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The batch.
    pub batch: BatchId,
    /// The essay.
    pub essay: EssayId,
    /// The text, unless it is a reference.
    pub body: Option<Private<Vec<u8>>>,
    /// The reference, unless it is a text.
    pub reference: Option<StorageId>,
    /// How many tries have failed for a reason of its own.
    pub attempts: u32,
}

/// How much is staged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StagedDepth {
    /// Texts.
    pub rows: i64,
    /// Bytes of them.
    pub bytes: i64,
    /// When the oldest batch among theirs was made.
    pub oldest_at: Option<DateTime<Utc>>,
}

const INSERT: Sql = Sql::both(
    "staged_texts",
    "stage texts",
    "INSERT INTO staged_texts (shard, batch_id, essay_id, not_before, attempts, reference, body) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

/// The inner queries see keys and lengths only; a body is read when it is among those that fit. No query sorts what waits in
/// all shards, so a long queue costs no more than a short one. Bodies are looked up one by one (`LIMIT 1`): a join would be
/// planned by statistics of a moment when the queue was empty, and compare each text with every other (400 ms for 500 texts).
const DUE: Sql = Sql::each(
    "staged_texts",
    "list staged texts",
    "SELECT due.shard, due.batch_id, due.essay_id, s.body, s.reference, s.attempts FROM ( \
       SELECT shard, batch_id, essay_id, size, \
              sum(size) OVER (ORDER BY batch_id, essay_id ROWS UNBOUNDED PRECEDING) AS so_far FROM ( \
         SELECT t.* FROM UNNEST($4::bigint[]) AS n (shard) CROSS JOIN LATERAL ( \
           SELECT shard, batch_id, essay_id, COALESCE(length(body), 0) AS size FROM staged_texts t \
           WHERE t.shard = n.shard AND not_before <= $1 ORDER BY shard, batch_id, essay_id LIMIT $2) AS t \
         LIMIT $2) AS next) AS due \
     CROSS JOIN LATERAL ( \
       SELECT body, reference, attempts FROM staged_texts s \
       WHERE s.shard = due.shard AND s.batch_id = due.batch_id AND s.essay_id = due.essay_id LIMIT 1) AS s \
     WHERE due.so_far <= $3 OR due.so_far = due.size ORDER BY due.batch_id, due.essay_id",
    "SELECT s.shard, s.batch_id, s.essay_id, s.body, s.reference, s.attempts FROM ( \
       SELECT batch_id, essay_id, size, \
              sum(size) OVER (ORDER BY batch_id, essay_id ROWS UNBOUNDED PRECEDING) AS so_far FROM ( \
         SELECT batch_id, essay_id, COALESCE(length(body), 0) AS size FROM staged_texts \
         WHERE shard = ?4 AND not_before <= ?1 ORDER BY batch_id, essay_id LIMIT ?2) AS next) AS due \
     JOIN staged_texts s ON s.shard = ?4 AND s.batch_id = due.batch_id AND s.essay_id = due.essay_id \
     WHERE due.so_far <= ?3 OR due.so_far = due.size ORDER BY s.batch_id, s.essay_id",
);

const POSTPONE: Sql = Sql::each(
    "staged_texts",
    "postpone staged texts",
    "UPDATE staged_texts s SET not_before = $1, attempts = s.attempts + $2 FROM UNNEST($5::uuid[]) AS n (essay_id) \
     WHERE s.shard = $3 AND s.batch_id = $4 AND s.essay_id = n.essay_id",
    "UPDATE staged_texts SET not_before = $1, attempts = attempts + $2 \
     WHERE shard = $3 AND batch_id = $4 AND essay_id = $5",
);

const DROP: Sql = Sql::each(
    "staged_texts",
    "drop staged texts",
    "DELETE FROM staged_texts s USING UNNEST($3::uuid[]) AS n (essay_id) \
     WHERE s.shard = $1 AND s.batch_id = $2 AND s.essay_id = n.essay_id",
    "DELETE FROM staged_texts WHERE shard = $1 AND batch_id = $2 AND essay_id = $3",
);

const DROP_ALL: Sql = Sql::both(
    "staged_texts",
    "drop a batch's staged texts",
    "DELETE FROM staged_texts WHERE shard = $1 AND batch_id = $2",
);

/// A batch's id begins with its time, so the smallest one is the oldest. PostgreSQL before 18 has no `min` of UUIDs.
const DEPTH: Sql = Sql::both(
    "staged_texts",
    "measure staged texts",
    "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(length(body)), 0) AS BIGINT), \
     (SELECT batch_id FROM staged_texts ORDER BY batch_id LIMIT 1) FROM staged_texts",
);

impl Tx {
    /// Stages texts; they are due at once.
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
        self.insert_many_along(INSERT, "", rows).await
    }

    /// The staged texts of these shards that are due, oldest batch first: at most `limit_rows`, and of those as many as fit
    /// into `limit_bytes`, but at least one.
    pub async fn due_staged(
        &mut self,
        shards: &[i64],
        now: DateTime<Utc>,
        limit_rows: u32,
        limit_bytes: i64,
    ) -> Result<Vec<StagedRow>, Error> {
        let shards: Vec<_> = shards.iter().map(|shard| [Param::from(*shard)]).collect();
        self.all_many(DUE, params![now, limit_rows, limit_bytes], &shards, |row| {
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

    /// Leaves staged texts alone until `not_before`. `counted` says that the try was theirs to fail; a neighbour that is
    /// away counts nothing.
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
    pub async fn drop_staged(&mut self, shard: i64, batch: BatchId, essays: &[EssayId]) -> Result<(), Error> {
        self.exec_many_along(DROP, params![shard, batch], &keys(essays)).await
    }

    /// Deletes every staged text of a batch. Says how many there were.
    pub async fn drop_all_staged(&mut self, shard: i64, batch: BatchId) -> Result<u64, Error> {
        self.exec(DROP_ALL, params![shard, batch]).await
    }

    /// How much is staged in all shards.
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
