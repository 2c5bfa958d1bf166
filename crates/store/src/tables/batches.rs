//! `batches`: one row per batch. The state is stored as JSON and not queried; values that are filtered on have columns.

use domain::{Batch, BatchId};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::private::Private;
use crate::row::{JsonText, Row};
use crate::sql::Sql;
use crate::tx::Tx;

/// The owner of a batch. Every statement on behalf of a caller compares both fields. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user id from the gateway or the API token.
    pub user_id: String,
    /// The organisation that the user acts for, if any.
    pub org_id: Option<String>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owner")
    }
}

/// Data of a batch for later phases and for the registration; the domain rules do not use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The platform's course code, such as `ENG5`.
    pub course_code: Option<String>,
    /// The teacher's name for the class.
    pub class_designation: Option<Private<String>>,
    /// The instructions that the essays were written to.
    pub essay_instructions: Option<Private<String>>,
    /// The assignment for comparative judgement.
    pub assignment_id: Option<String>,
    /// The id of the prompt in the Content Service.
    pub prompt_storage_id: Option<String>,
    /// The W3C `traceparent` of the submission; all later work on the batch belongs to this trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A row of `batches`, new or stored.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// The state. Its `revision` is the stored one; a new batch is stored as revision 1.
    pub batch: Batch,
    /// The owner.
    pub owner: Owner,
    /// The shard of its slot.
    pub shard: i64,
    /// The position that its next message takes within its ordering key.
    pub next_key_seq: i64,
    /// The name, if it was given one.
    pub name: Option<Private<String>>,
    /// Data for later phases.
    pub details: Details,
}

/// An update of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchSave<'a> {
    /// The new state.
    pub batch: &'a Batch,
    /// The revision at which it was read.
    pub expected: i64,
    /// The position that its next message takes within its ordering key.
    pub next_key_seq: i64,
}

/// The columns of [`BatchRow::read`], of the table alias `b`.
macro_rules! batch_columns {
    () => {
        "b.batch_id, b.owner_user_id, b.org_id, b.shard, b.next_key_seq, b.name, b.details, b.revision, b.state"
    };
}
pub(crate) use batch_columns;

/// A condition: batch `$1` belongs to user `$2` of organisation `$3`.
macro_rules! owned {
    () => {
        "EXISTS (SELECT 1 FROM batches b WHERE b.batch_id = $1 AND b.owner_user_id = $2 \
         AND b.org_id IS NOT DISTINCT FROM $3)"
    };
}
pub(crate) use owned;

const READ: Sql = Sql::both(
    "batches",
    "read a batch",
    concat!("SELECT ", batch_columns!(), " FROM batches b WHERE b.batch_id = $1"),
);

/// SQLite needs no row lock, because it has a single writer.
const LOCK: Sql = Sql::each(
    "batches",
    "lock a batch",
    concat!("SELECT ", batch_columns!(), " FROM batches b WHERE b.batch_id = $1 FOR UPDATE"),
    READ.sqlite,
);

/// Compares the owner in the statement, so that a request of another caller takes no lock.
const LOCK_OWN: Sql = Sql::each(
    "batches",
    "lock a batch",
    concat!(
        "SELECT ",
        batch_columns!(),
        " FROM batches b WHERE b.batch_id = $1 AND b.owner_user_id = $2 AND b.org_id IS NOT DISTINCT FROM $3 FOR UPDATE"
    ),
    concat!(
        "SELECT ",
        batch_columns!(),
        " FROM batches b WHERE b.batch_id = $1 AND b.owner_user_id = $2 AND b.org_id IS NOT DISTINCT FROM $3"
    ),
);

/// Locks in id order. Measured with 4 writers, each locking 50 of 200 rows: unsorted 0.8 units/s with lock time-outs, sorted
/// 379.
const LOCK_MANY: Sql = Sql::each(
    "batches",
    "lock batches",
    concat!(
        "SELECT ",
        batch_columns!(),
        " FROM batches b JOIN UNNEST($1::uuid[]) AS wanted (batch_id) ON b.batch_id = wanted.batch_id \
         ORDER BY b.batch_id FOR UPDATE OF b"
    ),
    READ.sqlite,
);

const INSERT: Sql = Sql::both(
    "batches",
    "insert a batch",
    "INSERT INTO batches (batch_id, shard, owner_user_id, org_id, kind, name, status, attention, revision, run, \
     next_key_seq, state, details, created_at, updated_at, ended_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11, $12, $13, $14, $15)",
);

const SAVE: Sql = Sql::each(
    "batches",
    "update batches",
    "UPDATE batches b SET status = n.status, attention = n.attention, state = n.state::jsonb, run = n.run, \
     next_key_seq = n.next_key_seq, updated_at = n.updated_at, ended_at = n.ended_at, revision = b.revision + 1 \
     FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], \
       $8::timestamptz[], $9::timestamptz[]) \
     AS n (batch_id, expected, status, attention, state, run, next_key_seq, updated_at, ended_at) \
     WHERE b.batch_id = n.batch_id AND b.revision = n.expected",
    "UPDATE batches SET status = ?3, attention = ?4, state = ?5, run = ?6, next_key_seq = ?7, updated_at = ?8, \
     ended_at = ?9, revision = revision + 1 WHERE batch_id = ?1 AND revision = ?2",
);

const SAVE_DETAILS: Sql = Sql::both(
    "batches",
    "update the details of a batch",
    "UPDATE batches SET details = $1 WHERE batch_id = $2",
);

impl BatchRow {
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, Error> {
        let id: BatchId = row.get(0)?;
        let JsonText(state) = row.get(8)?;
        let mut batch = Batch::from_json(&state).map_err(|_| Error::corrupt("batches", "state", id))?;
        batch.revision = row.get(7)?;
        Ok(Self {
            batch,
            owner: Owner { user_id: row.get(1)?, org_id: row.get(2)? },
            shard: row.get(3)?,
            next_key_seq: row.get(4)?,
            name: row.get::<Option<String>>(5)?.map(Private),
            details: row.json(6)?,
        })
    }
}

impl Tx {
    /// The batch with this id.
    pub async fn batch(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        self.one(READ, params![id], BatchRow::read).await
    }

    /// As [`Tx::batch`], with a row lock until the unit ends. Every unit that changes a batch takes this lock first.
    pub async fn batch_for_update(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        self.one(LOCK, params![id], BatchRow::read).await
    }

    /// As [`Tx::batch_for_update`], on behalf of a caller: `None` if the batch has another owner.
    pub async fn own_batch_for_update(
        &mut self,
        owner: &Owner,
        id: BatchId,
    ) -> Result<Option<BatchRow>, Error> {
        self.one(LOCK_OWN, params![id, &owner.user_id, owner.org_id.as_deref()], BatchRow::read).await
    }

    /// Locks several batches in id order, to avoid deadlocks, whatever the order of `ids`. Missing batches are omitted.
    pub async fn batches_for_update(&mut self, ids: &[BatchId]) -> Result<Vec<BatchRow>, Error> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let rows: Vec<_> = ids.into_iter().map(|id| [id.into()]).collect();
        self.all_many(LOCK_MANY, &[], &rows, BatchRow::read).await
    }

    /// Stores a new batch as revision 1.
    pub async fn insert_batch(&mut self, new: &BatchRow) -> Result<(), Error> {
        let batch = &new.batch;
        let (state, details) = (state_json(batch)?, details_json(&new.details)?);
        let values = params![
            batch.id,
            new.shard,
            &new.owner.user_id,
            new.owner.org_id.as_deref(),
            batch.kind.as_str(),
            new.name.as_ref().map(|name| name.0.as_str()),
            batch.status().as_str(),
            batch.attention.is_some(),
            batch.run,
            new.next_key_seq,
            Json(&state),
            Json(&details),
            batch.created_at,
            batch.updated_at,
            batch.ended_at,
        ];
        self.exec_deferred(INSERT, values).await
    }

    /// Updates batches, each to the revision after the one at which it was read.
    ///
    /// # Errors
    /// [`Error::Conflict`] without a source if a batch has another revision by now.
    pub async fn save_batches(&mut self, saves: &[BatchSave<'_>]) -> Result<(), Error> {
        let states = saves.iter().map(|save| state_json(save.batch)).collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::with_capacity(saves.len());
        for (save, state) in saves.iter().zip(&states) {
            let batch = save.batch;
            rows.push([
                Param::from(batch.id),
                save.expected.into(),
                batch.status().as_str().into(),
                batch.attention.is_some().into(),
                Json(state).into(),
                batch.run.into(),
                save.next_key_seq.into(),
                batch.updated_at.into(),
                batch.ended_at.into(),
            ]);
        }
        if self.exec_many(SAVE, &[], &rows).await? == rows.len() as u64 {
            Ok(())
        } else {
            Err(Error::Conflict { doing: SAVE.doing, source: None })
        }
    }

    /// Replaces the details of a batch, without a new revision, because no client document shows them.
    pub async fn save_details(&mut self, id: BatchId, details: &Details) -> Result<(), Error> {
        let details = details_json(details)?;
        self.exec(SAVE_DETAILS, params![Json(&details), id]).await.map(drop)
    }
}

fn state_json(batch: &Batch) -> Result<String, Error> {
    batch.to_json().map_err(|_| Error::corrupt("batches", "state", batch.id))
}

fn details_json(details: &Details) -> Result<String, Error> {
    serde_json::to_string(details).map_err(|_| Error::corrupt("batches", "details", ""))
}
