//! `essays`: one row per essay with its current state. Rows change by compare-and-set, and the number of changed rows is the
//! input of the domain rules.

use domain::{BatchId, EssayId, EssayState, Phase, StorageId};

use crate::error::Error;
use crate::param::{Param, params};
use crate::private::Private;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// A new essay, of a new batch or appended to an open batch.
#[derive(Debug, Clone)]
pub struct NewEssay {
    /// The id, which contains the batch id and the position.
    pub essay_id: EssayId,
    /// The client's reference, such as a file name or a pupil's number.
    pub client_ref: Option<Private<String>>,
    /// The length of its text in bytes; `None` for a text given by reference.
    pub size_bytes: Option<i64>,
}

/// A row of `essays`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayRow {
    /// The id.
    pub essay_id: EssayId,
    /// The position in its batch, from 0.
    pub position: u16,
    /// The client's reference.
    pub client_ref: Option<Private<String>>,
    /// The length of the submitted text in bytes; `None` until a text given by reference is verified.
    pub size_bytes: Option<i64>,
    /// The state.
    pub state: EssayState,
    /// The latest phase that it was part of.
    pub phase: Option<Phase>,
    /// The attempt at that phase; 0 before the first.
    pub attempt: u32,
    /// The Content Service's id of the submitted text, once it is stored.
    pub text_storage_id: Option<StorageId>,
    /// The id of the text that the next phase reads.
    pub current_text_storage_id: Option<StorageId>,
    /// The code of the reason for a failure.
    pub error_code: Option<String>,
}

/// An essay and the text that a phase reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayText {
    /// The essay.
    pub essay_id: EssayId,
    /// The Content Service's id of the text.
    pub storage_id: StorageId,
}

/// An essay whose text is stored in the Content Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEssay {
    /// The essay.
    pub essay_id: EssayId,
    /// The Content Service's id of the submitted text.
    pub storage_id: StorageId,
    /// The length of the text in bytes.
    pub size_bytes: i64,
}

/// The number of essays of a batch in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EssayCounts {
    /// Waiting for the text to be stored, for the next phase, or for a start request.
    pub waiting: u32,
    /// In the running phase.
    pub in_progress: u32,
    /// Completed all requested phases.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
    /// Skipped: the batch ended before any phase began.
    pub skipped: u32,
}

impl EssayCounts {
    /// The total number of essays.
    pub const fn total(&self) -> u32 {
        self.waiting + self.in_progress + self.succeeded + self.failed + self.cancelled + self.skipped
    }

    pub(crate) fn count(&mut self, state: EssayState) -> &mut u32 {
        match state {
            EssayState::Waiting => &mut self.waiting,
            EssayState::InProgress => &mut self.in_progress,
            EssayState::Succeeded => &mut self.succeeded,
            EssayState::Failed => &mut self.failed,
            EssayState::Cancelled => &mut self.cancelled,
            EssayState::Skipped => &mut self.skipped,
        }
    }
}

/// The columns of [`EssayRow::read`], of the table alias `e`.
macro_rules! essay_columns {
    () => {
        "e.essay_id, e.position, e.client_ref, e.size_bytes, e.state, e.phase, e.attempt, e.text_storage_id, \
         e.current_text_storage_id, e.error_code"
    };
}
pub(crate) use essay_columns;

impl EssayRow {
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            essay_id: row.get(0)?,
            position: row.get(1)?,
            client_ref: row.get::<Option<String>>(2)?.map(Private),
            size_bytes: row.get(3)?,
            state: row.word(4)?,
            phase: row.optional_word(5)?,
            attempt: row.get(6)?,
            text_storage_id: row.get(7)?,
            current_text_storage_id: row.get(8)?,
            error_code: row.get(9)?,
        })
    }
}

const INSERT: Sql = Sql::both(
    "essays",
    "insert essays",
    "INSERT INTO essays (batch_id, essay_id, position, client_ref, size_bytes, state, attempt) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

/// Each essay is looked up by its key (`LIMIT 1`), because with outdated statistics, by which a batch has few essays,
/// PostgreSQL plans a join that compares each essay with every parameter row. The found `ctid` stays valid, because the unit
/// holds the batch's lock.
const STORED: Sql = Sql::each(
    "essays",
    "record stored texts",
    "UPDATE essays e SET text_storage_id = n.storage_id, current_text_storage_id = n.storage_id, size_bytes = n.size_bytes \
     FROM UNNEST($2::uuid[], $3::text[], $4::bigint[]) AS n (essay_id, storage_id, size_bytes) CROSS JOIN LATERAL ( \
       SELECT f.ctid FROM essays f WHERE f.batch_id = $1 AND f.essay_id = n.essay_id AND f.text_storage_id IS NULL \
       AND f.state = 'waiting' LIMIT 1) AS found (place) WHERE e.ctid = found.place",
    "UPDATE essays SET text_storage_id = ?3, current_text_storage_id = ?3, size_bytes = ?4 \
     WHERE batch_id = ?1 AND essay_id = ?2 AND text_storage_id IS NULL AND state = 'waiting'",
);

/// Looked up by key as in [`STORED`].
const REFUSED: Sql = Sql::each(
    "essays",
    "record refused texts",
    "UPDATE essays e SET state = 'failed', error_code = n.code \
     FROM UNNEST($2::uuid[], $3::text[]) AS n (essay_id, code) CROSS JOIN LATERAL ( \
       SELECT f.ctid FROM essays f WHERE f.batch_id = $1 AND f.essay_id = n.essay_id AND f.text_storage_id IS NULL \
       AND f.state = 'waiting' LIMIT 1) AS found (place) WHERE e.ctid = found.place",
    "UPDATE essays SET state = 'failed', error_code = ?3 \
     WHERE batch_id = ?1 AND essay_id = ?2 AND text_storage_id IS NULL AND state = 'waiting'",
);

const OPEN: Sql = Sql::both(
    "essays",
    "open essays for a phase",
    "UPDATE essays SET state = 'in_progress', phase = $1, attempt = $2, is_named = 0 \
     WHERE batch_id = $3 AND state = 'waiting' AND text_storage_id IS NOT NULL",
);

const CANCEL: Sql = Sql::both(
    "essays",
    "cancel essays",
    "UPDATE essays SET state = $1 WHERE batch_id = $2 AND state IN ($3, $4)",
);

const CHANGE_STATE: Sql = Sql::both(
    "essays",
    "change the state of essays",
    "UPDATE essays SET state = $1 WHERE batch_id = $2 AND state = $3",
);

const REVIVE_FAILED: Sql = Sql::both(
    "essays",
    "revive failed essays",
    "UPDATE essays SET state = 'waiting', error_code = NULL \
     WHERE batch_id = $1 AND state = 'failed' AND phase = $2 AND text_storage_id IS NOT NULL",
);

const TO_PROCESS: Sql = Sql::both(
    "essays",
    "list the essays of a phase",
    "SELECT essay_id, current_text_storage_id FROM essays \
     WHERE batch_id = $1 AND state = 'in_progress' AND phase = $2 AND attempt = $3 \
     AND current_text_storage_id IS NOT NULL ORDER BY essay_id",
);

const UNNAMED: Sql = Sql::both(
    "essays",
    "list the unnamed essays of a phase",
    "SELECT essay_id FROM essays WHERE batch_id = $1 AND phase = $2 AND attempt = $3 AND is_named = 0 ORDER BY essay_id",
);

/// Looked up by key as in [`STORED`].
const NAMED: Sql = Sql::each(
    "essays",
    "mark named essays",
    "UPDATE essays e SET is_named = 1 FROM UNNEST($2::uuid[]) AS n (essay_id) CROSS JOIN LATERAL ( \
       SELECT f.ctid FROM essays f WHERE f.batch_id = $1 AND f.essay_id = n.essay_id LIMIT 1) AS found (place) \
     WHERE e.ctid = found.place",
    "UPDATE essays SET is_named = 1 WHERE batch_id = ?1 AND essay_id = ?2",
);

const ALL_STORED: Sql = Sql::both(
    "essays",
    "list stored essays",
    "SELECT essay_id, text_storage_id, COALESCE(size_bytes, 0) FROM essays \
     WHERE batch_id = $1 AND text_storage_id IS NOT NULL ORDER BY essay_id",
);

const READ: Sql = Sql::both(
    "essays",
    "read an essay",
    concat!("SELECT ", essay_columns!(), " FROM essays e WHERE e.batch_id = $1 AND e.essay_id = $2"),
);

const COUNTS: Sql = Sql::both(
    "essays",
    "count essays",
    "SELECT state, CAST(count(*) AS BIGINT) FROM essays WHERE batch_id = $1 GROUP BY state",
);

impl Tx {
    /// Stores new essays in state `waiting`.
    pub async fn insert_essays(&mut self, batch: BatchId, essays: &[NewEssay]) -> Result<(), Error> {
        let rows = essays.iter().map(|essay| {
            [
                batch.into(),
                essay.essay_id.into(),
                essay.essay_id.position().into(),
                essay.client_ref.as_ref().map(|name| name.0.as_str()).into(),
                essay.size_bytes.into(),
                EssayState::Waiting.as_str().into(),
                Param::from(0_u32),
            ]
        });
        self.insert_many_deferred(INSERT, "", rows).await
    }

    /// Records the stored texts of waiting essays that had none. Returns the number of changed rows. The caller deletes the
    /// staged texts with [`Tx::delete_staged`].
    pub async fn record_stored_texts(&mut self, batch: BatchId, texts: &[StoredEssay]) -> Result<u32, Error> {
        let rows: Vec<_> = texts
            .iter()
            .map(|text| [text.essay_id.into(), Param::from(&text.storage_id), text.size_bytes.into()])
            .collect();
        self.exec_many(STORED, params![batch], &rows).await.map(count)
    }

    /// Fails waiting essays whose texts cannot be stored, each with an error code. Returns the number of changed rows.
    pub async fn record_refused_texts(
        &mut self,
        batch: BatchId,
        texts: &[(EssayId, &str)],
    ) -> Result<u32, Error> {
        let rows: Vec<_> = texts.iter().map(|(essay, code)| [(*essay).into(), (*code).into()]).collect();
        self.exec_many(REFUSED, params![batch], &rows).await.map(count)
    }

    /// Moves every waiting essay with a stored text to `in_progress`, in this attempt at a phase. Returns how many.
    pub async fn open_essays(&mut self, batch: BatchId, phase: Phase, attempt: u32) -> Result<u32, Error> {
        self.exec(OPEN, params![phase.as_str(), attempt, batch]).await.map(count)
    }

    /// Moves every essay in `waiting` or `in_progress` to `cancelled`. Returns how many.
    pub async fn cancel_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        let [waiting, in_progress] = [EssayState::Waiting, EssayState::InProgress].map(EssayState::as_str);
        let values = params![EssayState::Cancelled.as_str(), batch, waiting, in_progress];
        self.exec(CANCEL, values).await.map(count)
    }

    /// Moves every waiting essay to `skipped`. Returns how many.
    pub async fn skip_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.change_state(batch, EssayState::Waiting, EssayState::Skipped).await
    }

    /// Moves every waiting essay to `succeeded`, at the end of a run. Returns how many.
    pub async fn finish_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.change_state(batch, EssayState::Waiting, EssayState::Succeeded).await
    }

    /// Moves every succeeded essay back to `waiting`, for a new run. Returns how many.
    pub async fn revive_succeeded(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.change_state(batch, EssayState::Succeeded, EssayState::Waiting).await
    }

    /// Moves every essay that failed in this phase back to `waiting`. Returns how many.
    pub async fn revive_failed_in(&mut self, batch: BatchId, phase: Phase) -> Result<u32, Error> {
        self.exec(REVIVE_FAILED, params![batch, phase.as_str()]).await.map(count)
    }

    async fn change_state(&mut self, batch: BatchId, from: EssayState, to: EssayState) -> Result<u32, Error> {
        self.exec(CHANGE_STATE, params![to.as_str(), batch, from.as_str()]).await.map(count)
    }

    /// The essays in progress in this attempt, with the texts to read, by position.
    pub async fn essays_to_process(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
    ) -> Result<Vec<EssayText>, Error> {
        self.all(TO_PROCESS, params![batch, phase.as_str(), attempt], |row| {
            Ok(EssayText { essay_id: row.get(0)?, storage_id: row.get(1)? })
        })
        .await
    }

    /// The essays of this attempt that no outcome has named so far, whatever their state, by position.
    pub async fn unnamed_essays(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
    ) -> Result<Vec<EssayId>, Error> {
        self.all(UNNAMED, params![batch, phase.as_str(), attempt], |row| row.get(0)).await
    }

    /// Marks essays that an outcome of their attempt has named.
    pub async fn mark_named(&mut self, batch: BatchId, essays: &[EssayId]) -> Result<(), Error> {
        let rows: Vec<_> = essays.iter().map(|essay| [Param::from(*essay)]).collect();
        self.exec_many(NAMED, params![batch], &rows).await.map(drop)
    }

    /// The essays whose texts are stored, by position.
    pub async fn essays_stored(&mut self, batch: BatchId) -> Result<Vec<StoredEssay>, Error> {
        self.all(ALL_STORED, params![batch], |row| {
            Ok(StoredEssay { essay_id: row.get(0)?, storage_id: row.get(1)?, size_bytes: row.get(2)? })
        })
        .await
    }

    /// An essay of a batch.
    pub async fn essay(&mut self, batch: BatchId, essay: EssayId) -> Result<Option<EssayRow>, Error> {
        self.one(READ, params![batch, essay], EssayRow::read).await
    }

    /// The number of essays in each state, counted from the rows.
    pub async fn essay_counts(&mut self, batch: BatchId) -> Result<EssayCounts, Error> {
        let rows = self.all(COUNTS, params![batch], |row| Ok((row.word(0)?, row.get(1)?))).await?;
        Ok(EssayCounts::from_rows(rows))
    }
}

impl EssayCounts {
    pub(crate) fn from_rows(rows: Vec<(EssayState, u32)>) -> Self {
        let mut counts = Self::default();
        for (state, number) in rows {
            *counts.count(state) += number;
        }
        counts
    }
}

/// A number of changed rows as `u32`: a batch has at most a few thousand essays.
pub(crate) fn count(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
