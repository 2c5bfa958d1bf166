//! `essays`: one row per essay with where it stands now. Rows change by compare-and-set, and how many changed is what the
//! rules are told.

use domain::{BatchId, EssayId, EssayState, Phase, StorageId};

use crate::error::Error;
use crate::param::{Param, Row, params};
use crate::private::Private;
use crate::tx::{Sql, Tx};

/// An essay of a new batch, or one appended to an open batch.
#[derive(Debug, Clone)]
pub struct NewEssay {
    /// Its id, which holds the batch and the position.
    pub essay_id: EssayId,
    /// What the client calls it: a file name, a pupil's number.
    pub client_ref: Option<Private<String>>,
    /// The length of its text in bytes, if the text came along.
    pub size_bytes: Option<i64>,
}

/// A stored essay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayRow {
    /// Its id.
    pub essay_id: EssayId,
    /// Where it stood in its batch, counted from 0.
    pub position: u16,
    /// What the client calls it.
    pub client_ref: Option<Private<String>>,
    /// The length of the text as accepted, in bytes.
    pub size_bytes: Option<i64>,
    /// Where it stands.
    pub state: EssayState,
    /// The phase that it was last part of.
    pub phase: Option<Phase>,
    /// The attempt at that phase; 0 before the first.
    pub attempt: u32,
    /// The text as accepted, once it is stored.
    pub text_storage_id: Option<StorageId>,
    /// The text that the next phase works on.
    pub current_text_storage_id: Option<StorageId>,
    /// Why it failed.
    pub error_code: Option<String>,
}

/// An essay and the text that a phase is to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayText {
    /// The essay.
    pub essay_id: EssayId,
    /// The text.
    pub storage_id: StorageId,
}

/// An essay whose text is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEssay {
    /// The essay.
    pub essay_id: EssayId,
    /// The text as accepted.
    pub storage_id: StorageId,
    /// Its length in bytes.
    pub size_bytes: i64,
}

/// How many essays of a batch are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EssayCounts {
    /// Waiting for a text, a phase or the word to begin.
    pub waiting: u32,
    /// In the phase at work.
    pub in_progress: u32,
    /// Through with everything asked for.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
    /// Never begun.
    pub skipped: u32,
}

impl EssayCounts {
    /// All essays.
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

/// The columns that [`EssayRow::read`] expects.
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

/// Each essay is looked up by its key (`LIMIT 1`): a join would be planned by statistics of another moment, by which a batch
/// has few essays, and compare each with every row that is handed in. A found row stays where it is, under its batch's lock.
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

/// By key, as [`STORED`].
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
    "UPDATE essays SET state = 'in_progress', phase = $1, attempt = $2 \
     WHERE batch_id = $3 AND state = 'waiting' AND text_storage_id IS NOT NULL",
);

const CANCEL: Sql = Sql::both(
    "essays",
    "cancel essays",
    "UPDATE essays SET state = 'cancelled' WHERE batch_id = $1 AND state IN ('waiting', 'in_progress')",
);

const MOVE: Sql =
    Sql::both("essays", "move essays", "UPDATE essays SET state = $1 WHERE batch_id = $2 AND state = $3");

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
    /// Stores new essays, waiting for their texts.
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
        self.insert_many_along(INSERT, "", rows).await
    }

    /// Records where texts are stored and how many bytes they have, for essays that had none yet. Says how many rows
    /// changed. The staged rows go with [`Tx::drop_staged`].
    pub async fn texts_stored(
        &mut self,
        batch: BatchId,
        texts: &[(EssayId, StorageId, i64)],
    ) -> Result<u32, Error> {
        let rows: Vec<_> =
            texts.iter().map(|(essay, text, size)| [(*essay).into(), text.into(), (*size).into()]).collect();
        self.exec_many(STORED, params![batch], &rows).await.map(count)
    }

    /// Fails essays whose texts cannot be stored, each with the code of its reason. Says how many rows changed.
    pub async fn texts_refused(&mut self, batch: BatchId, texts: &[(EssayId, &str)]) -> Result<u32, Error> {
        let rows: Vec<_> = texts.iter().map(|(essay, code)| [(*essay).into(), (*code).into()]).collect();
        self.exec_many(REFUSED, params![batch], &rows).await.map(count)
    }

    /// Puts every waiting essay that has a text into an attempt at a phase. Says how many.
    pub async fn open_essays(&mut self, batch: BatchId, phase: Phase, attempt: u32) -> Result<u32, Error> {
        self.exec(OPEN, params![phase.as_str(), attempt, batch]).await.map(count)
    }

    /// Cancels every essay that is waiting or at work. Says how many.
    pub async fn cancel_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.exec(CANCEL, params![batch]).await.map(count)
    }

    /// Marks every waiting essay as skipped. Says how many.
    pub async fn skip_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.move_essays(batch, EssayState::Waiting, EssayState::Skipped).await
    }

    /// Marks every waiting essay as succeeded, at the end of a run. Says how many.
    pub async fn finish_essays(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.move_essays(batch, EssayState::Waiting, EssayState::Succeeded).await
    }

    /// Lets every essay that succeeded wait again, for a new run. Says how many.
    pub async fn revive_succeeded(&mut self, batch: BatchId) -> Result<u32, Error> {
        self.move_essays(batch, EssayState::Succeeded, EssayState::Waiting).await
    }

    /// Lets every essay that failed in this phase wait again. Says how many.
    pub async fn revive_failed_in(&mut self, batch: BatchId, phase: Phase) -> Result<u32, Error> {
        self.exec(REVIVE_FAILED, params![batch, phase.as_str()]).await.map(count)
    }

    async fn move_essays(&mut self, batch: BatchId, from: EssayState, to: EssayState) -> Result<u32, Error> {
        self.exec(MOVE, params![to.as_str(), batch, from.as_str()]).await.map(count)
    }

    /// The essays of an attempt that are at work, with their texts, by position.
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

    /// The essays whose texts are stored, by position.
    pub async fn essays_stored(&mut self, batch: BatchId) -> Result<Vec<StoredEssay>, Error> {
        self.all(ALL_STORED, params![batch], |row| {
            Ok(StoredEssay { essay_id: row.get(0)?, storage_id: row.get(1)?, size_bytes: row.get(2)? })
        })
        .await
    }

    /// An essay, if the batch has it.
    pub async fn essay(&mut self, batch: BatchId, essay: EssayId) -> Result<Option<EssayRow>, Error> {
        self.one(READ, params![batch, essay], EssayRow::read).await
    }

    /// How many essays are in each state, counted from the rows.
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

/// A batch has a few thousand essays at most.
pub(crate) fn count(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
