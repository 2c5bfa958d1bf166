//! `batches`: one row per batch. Its state is JSON, which is stored and not queried; what is filtered on has a column.

use domain::{Batch, BatchId};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::param::{Json, JsonText, Param, Row, params};
use crate::private::Private;
use crate::tx::{Sql, Tx};

/// Whom a batch belongs to. Every statement on behalf of a caller compares both.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user, as the gateway or the token names them.
    pub user_id: String,
    /// The organisation, if the user acts for one.
    pub org_id: Option<String>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owner")
    }
}

/// What a batch carries along for later phases; the rules never look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The platform's course code, such as `ENG5`, if the batch names one.
    pub course_code: Option<String>,
    /// The class, in its teacher's words.
    pub class_designation: Option<Private<String>>,
    /// What the essays were to be about.
    pub essay_instructions: Option<Private<String>>,
    /// The assignment that comparative judgement belongs to.
    pub assignment_id: Option<String>,
    /// The stored prompt.
    pub prompt_storage_id: Option<String>,
    /// The place in a trace that it was handed in at (W3C `traceparent`): everything about it belongs to that trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// What a new batch has beside its state.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Whom it belongs to.
    pub owner: Owner,
    /// The shard of its slot.
    pub shard: i64,
    /// The number that its next message takes.
    pub next_key_seq: i64,
    /// Its name, if it was given one.
    pub name: Option<Private<String>>,
    /// What it carries along.
    pub details: Details,
}

/// A stored batch.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// Its state; `revision` is the stored one.
    pub batch: Batch,
    /// Whom it belongs to.
    pub owner: Owner,
    /// The shard of its slot.
    pub shard: i64,
    /// The number that its next message takes.
    pub next_key_seq: i64,
    /// Its name, if it was given one.
    pub name: Option<Private<String>>,
    /// What it carries along.
    pub details: Details,
}

/// A batch to be stored anew.
#[derive(Debug, Clone, Copy)]
pub struct BatchSave<'a> {
    /// As it is now.
    pub batch: &'a Batch,
    /// The revision that it was read at.
    pub expected: i64,
    /// The number that its next message takes.
    pub next_key_seq: i64,
}

/// The columns that [`BatchRow::read`] expects.
macro_rules! batch_columns {
    () => {
        "b.batch_id, b.owner_user_id, b.org_id, b.shard, b.next_key_seq, b.name, b.details, b.revision, b.state"
    };
}
pub(crate) use batch_columns;

const READ: Sql = Sql::both(
    "batches",
    "read a batch",
    concat!("SELECT ", batch_columns!(), " FROM batches b WHERE b.batch_id = $1"),
);

/// SQLite needs no row lock: it has one writer.
const LOCK: Sql = Sql::each(
    "batches",
    "lock a batch",
    concat!("SELECT ", batch_columns!(), " FROM batches b WHERE b.batch_id = $1 FOR UPDATE"),
    READ.sqlite,
);

/// A stranger's request takes no lock that the owner would wait for.
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

/// Measured with 4 writers over 50 of 200 rows: in order of arrival 0.8 units/s with lock time-outs, sorted 379.
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
    "save batches",
    "UPDATE batches b SET status = n.status, attention = n.attention, state = n.state::jsonb, run = n.run, \
     next_key_seq = n.next_key_seq, updated_at = n.updated_at, ended_at = n.ended_at, revision = b.revision + 1 \
     FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], \
       $8::timestamptz[], $9::timestamptz[]) \
     AS n (batch_id, expected, status, attention, state, run, next_key_seq, updated_at, ended_at) \
     WHERE b.batch_id = n.batch_id AND b.revision = n.expected",
    "UPDATE batches SET status = ?3, attention = ?4, state = ?5, run = ?6, next_key_seq = ?7, updated_at = ?8, \
     ended_at = ?9, revision = revision + 1 WHERE batch_id = ?1 AND revision = ?2",
);

const SAVE_DETAILS: Sql =
    Sql::both("batches", "save a batch's details", "UPDATE batches SET details = $1 WHERE batch_id = $2");

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
    /// A batch, if there is one of this id.
    pub async fn batch(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        self.one(READ, params![id], BatchRow::read).await
    }

    /// As [`Tx::batch`], locked against other units until this one ends. Every unit about a batch takes this lock first.
    pub async fn batch_for_update(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        self.one(LOCK, params![id], BatchRow::read).await
    }

    /// As [`Tx::batch_for_update`], on behalf of a caller: none when the batch is somebody else's.
    pub async fn own_batch_for_update(
        &mut self,
        owner: &Owner,
        id: BatchId,
    ) -> Result<Option<BatchRow>, Error> {
        self.one(LOCK_OWN, params![id, &owner.user_id, owner.org_id.as_deref()], BatchRow::read).await
    }

    /// Locks several batches in the order of their ids, whatever the order asked for. Absent ones are left out.
    pub async fn batches_for_update(&mut self, ids: &[BatchId]) -> Result<Vec<BatchRow>, Error> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let rows: Vec<_> = ids.into_iter().map(|id| [id.into()]).collect();
        self.all_many(LOCK_MANY, &[], &rows, BatchRow::read).await
    }

    /// Stores a new batch as revision 1.
    pub async fn insert_batch(&mut self, batch: &Batch, new: &NewBatch) -> Result<(), Error> {
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
        self.exec_along(INSERT, values).await
    }

    /// Stores batches, each as the revision after the one that it was read at. [`Error::Conflict`] without a source when one
    /// is stored at another revision.
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

    /// Replaces what a batch carries along, without a new revision: nobody polls for it.
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
