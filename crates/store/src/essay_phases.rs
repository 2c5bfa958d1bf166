//! `essay_phases`: the terminal word on each (essay, phase, attempt). The first one stands; a row is written once and only
//! its figures may still be filled in.

use std::collections::HashSet;

use domain::{BatchId, EssayId, EssayState, Phase, StorageId};

use crate::error::Error;
use crate::essays::count;
use crate::param::{Json, Param, params};
use crate::tx::{Sql, Tx};

/// What somebody said about one essay in a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayReport {
    /// The essay.
    pub essay_id: EssayId,
    /// Whether it came through.
    pub succeeded: bool,
    /// The text that the phase made, if it made one.
    pub text_storage_id: Option<StorageId>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// The phase's figures about it, as JSON.
    pub figures: Option<String>,
}

/// What reports changed, in essays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Concluded {
    /// Now known to have succeeded.
    pub succeeded: u32,
    /// Now known to have failed.
    pub failed: u32,
    /// Reports about essays that were not at work in this attempt: late, repeated or contradicting.
    pub stale: u32,
}

/// One finished (essay, phase, attempt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayPhaseRow {
    /// The essay.
    pub essay_id: EssayId,
    /// The phase.
    pub phase: Phase,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// How it ended: succeeded, failed or cancelled.
    pub state: EssayState,
    /// The text that the phase made.
    pub text_storage_id: Option<StorageId>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// The phase's figures about it, as JSON.
    pub figures: Option<String>,
    /// When the word came.
    pub ended_at: chrono::DateTime<chrono::Utc>,
}

/// PostgreSQL takes all reports as arrays, and writes the present and the past in one statement; SQLite, which has none that
/// changes two tables, runs once per report and writes the past with the next. By key, as in `essays`: a join compared each
/// report with every essay of its batch, which was half of this statement for a class and would be all of it for thousands.
const CONCLUDE: Sql = Sql::each(
    "essays",
    "record results of essays",
    "WITH changed AS ( \
       UPDATE essays e SET state = CASE WHEN n.succeeded = 1 THEN $1 ELSE 'failed' END, error_code = n.error_code, \
       current_text_storage_id = COALESCE(n.text_storage_id, e.current_text_storage_id) \
       FROM UNNEST($6::uuid[], $7::bigint[], $8::text[], $9::text[], $10::text[]) \
         AS n (essay_id, succeeded, figures, text_storage_id, error_code) CROSS JOIN LATERAL ( \
         SELECT f.ctid FROM essays f WHERE f.batch_id = $2 AND f.essay_id = n.essay_id AND f.state = 'in_progress' \
         AND f.phase = $3 AND f.attempt = $4 LIMIT 1) AS found (place) \
       WHERE e.ctid = found.place RETURNING n.*) \
     INSERT INTO essay_phases \
     (batch_id, phase, attempt, essay_id, state, text_storage_id, error_code, figures, ended_at) \
     SELECT $2, $3, $4, essay_id, CASE WHEN succeeded = 1 THEN 'succeeded' ELSE 'failed' END, text_storage_id, error_code, \
     figures::jsonb, $5 FROM changed RETURNING essay_id",
    "UPDATE essays SET state = CASE WHEN ?7 = 1 THEN ?1 ELSE 'failed' END, error_code = ?10, \
     current_text_storage_id = COALESCE(?9, current_text_storage_id) \
     WHERE batch_id = ?2 AND essay_id = ?6 AND state = 'in_progress' AND phase = ?3 AND attempt = ?4",
);

const CONCLUDED: Sql = Sql::both(
    "essay_phases",
    "record results of essays",
    "INSERT INTO essay_phases \
     (batch_id, phase, attempt, ended_at, essay_id, state, figures, text_storage_id, error_code) \
     VALUES (?2, ?3, ?4, ?5, ?6, CASE WHEN ?7 = 1 THEN 'succeeded' ELSE 'failed' END, ?8, ?9, ?10)",
);

const FILL_FIGURES: Sql = Sql::each(
    "essay_phases",
    "fill in figures",
    "UPDATE essay_phases p SET figures = n.figures::jsonb \
     FROM UNNEST($4::uuid[], $5::text[]) AS n (essay_id, figures) CROSS JOIN LATERAL ( \
       SELECT f.ctid FROM essay_phases f WHERE f.batch_id = $1 AND f.phase = $2 AND f.attempt = $3 \
       AND f.essay_id = n.essay_id AND f.figures IS NULL LIMIT 1) AS found (place) WHERE p.ctid = found.place",
    "UPDATE essay_phases SET figures = ?5 \
     WHERE batch_id = ?1 AND phase = ?2 AND attempt = ?3 AND essay_id = ?4 AND figures IS NULL",
);

const CLOSE_OPEN: Sql = Sql::both(
    "essay_phases",
    "close the open essays of a phase",
    "INSERT INTO essay_phases (batch_id, phase, attempt, essay_id, state, error_code, ended_at) \
     SELECT batch_id, phase, attempt, essay_id, $1, $2, $3 FROM essays \
     WHERE batch_id = $4 AND state = 'in_progress' AND phase = $5 AND attempt = $6",
);

/// On PostgreSQL in one statement with what [`CLOSE_OPEN`] does.
const FAIL_OPEN: Sql = Sql::each(
    "essays",
    "fail the open essays of a phase",
    "WITH failed AS ( \
       UPDATE essays SET state = $1, error_code = $2 \
       WHERE batch_id = $4 AND state = 'in_progress' AND phase = $5 AND attempt = $6 RETURNING essay_id) \
     INSERT INTO essay_phases (batch_id, phase, attempt, essay_id, state, error_code, ended_at) \
     SELECT $4, $5, $6, essay_id, $1, $2, $3 FROM failed",
    "UPDATE essays SET state = ?1, error_code = ?2 \
     WHERE batch_id = ?4 AND state = 'in_progress' AND phase = ?5 AND attempt = ?6",
);

impl Tx {
    /// Records what is said about essays that are at work in this attempt; those that succeeded go to `after_success`.
    ///
    /// Everything else said about them is stale, but figures still fill a row that has none: the rich form of a result may
    /// come after the thin one.
    pub async fn conclude_essays(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
        after_success: EssayState,
        reports: &[EssayReport],
    ) -> Result<Concluded, Error> {
        let mut named = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) =
            reports.iter().partition(|report| named.insert(report.essay_id));
        let rows: Vec<_> = first.iter().map(|report| change(report)).collect();
        let now = self.now();
        let attempt_of_phase = params![after_success.as_str(), batch, phase.as_str(), attempt, now];
        let mut changed = self.changed_many(CONCLUDE, 1, attempt_of_phase, &rows).await?.into_iter();
        let (news, late): (Vec<_>, Vec<_>) =
            first.into_iter().partition(|_| changed.next().unwrap_or_default());
        if self.is_sqlite() {
            let rows: Vec<_> = news.iter().map(|report| change(report)).collect();
            self.exec_many(CONCLUDED, attempt_of_phase, &rows).await?;
        }

        let figures: Vec<_> = late
            .iter()
            .chain(&again)
            .filter_map(|report| Some([report.essay_id.into(), Json(report.figures.as_deref()?).into()]))
            .collect();
        self.exec_many(FILL_FIGURES, params![batch, phase.as_str(), attempt], &figures).await?;

        let succeeded = count(news.iter().filter(|report| report.succeeded).count() as u64);
        let failed = count(news.len() as u64) - succeeded;
        Ok(Concluded { succeeded, failed, stale: count((late.len() + again.len()) as u64) })
    }

    /// Fails every essay that is still at work in this attempt. Says how many.
    pub async fn fail_open_essays(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
        code: &str,
    ) -> Result<u32, Error> {
        let (state, now) = (EssayState::Failed, self.now());
        if self.is_sqlite() {
            self.close_open(batch, phase, attempt, state, Some(code)).await?;
        }
        let values = params![state.as_str(), code, now, batch, phase.as_str(), attempt];
        self.exec(FAIL_OPEN, values).await.map(count)
    }

    /// Notes that the essays still at work in this attempt were cancelled. [`Tx::cancel_essays`] follows.
    pub async fn cancel_open_essays(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
    ) -> Result<(), Error> {
        self.close_open(batch, phase, attempt, EssayState::Cancelled, None).await
    }

    async fn close_open(
        &mut self,
        batch: BatchId,
        phase: Phase,
        attempt: u32,
        state: EssayState,
        code: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.now();
        let values = params![state.as_str(), code, now, batch, phase.as_str(), attempt];
        self.exec(CLOSE_OPEN, values).await.map(drop)
    }
}

/// A report as the columns essay, succeeded, figures, text, error code. A success has no error code.
fn change(report: &EssayReport) -> [Param<'_>; 5] {
    let code = report.error_code.as_deref().filter(|_| !report.succeeded);
    [
        report.essay_id.into(),
        report.succeeded.into(),
        report.figures.as_deref().map(Json).into(),
        report.text_storage_id.as_ref().into(),
        code.into(),
    ]
}
