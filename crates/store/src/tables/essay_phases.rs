//! `essay_phases`: the final result of each (essay, phase, attempt). The first result is kept: a row is written once, and only
//! missing figures may be added later.

use std::collections::HashSet;

use domain::{BatchId, EssayId, EssayState, Phase, StorageId};

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::sql::Sql;
use crate::tables::essays::count;
use crate::tx::Tx;

/// A reported result of one essay in a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayReport {
    /// The essay.
    pub essay_id: EssayId,
    /// Whether the phase succeeded for it.
    pub succeeded: bool,
    /// The text that the phase produced, if any.
    pub text_storage_id: Option<StorageId>,
    /// The code of the reason for a failure.
    pub error_code: Option<String>,
    /// How much the code says, which decides whether it replaces the one that stands.
    pub precision: Precision,
    /// Figures of the phase about it, as JSON.
    pub figures: Option<String>,
}

/// How much the error code of a report says about the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Precision {
    /// That the essay failed, and not why.
    #[default]
    Vague,
    /// A reason that was read out of a text.
    Read,
    /// The service's own code.
    Stated,
}

/// What reports changed, in numbers of essays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Concluded {
    /// Essays that changed to succeeded.
    pub succeeded: u32,
    /// Essays that changed to failed.
    pub failed: u32,
    /// Reports about essays that were not in progress in this attempt: late, repeated or contradicting.
    pub stale: u32,
}

/// The final result of one (essay, phase, attempt): a row of `essay_phases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayPhaseRow {
    /// The essay.
    pub essay_id: EssayId,
    /// The phase.
    pub phase: Phase,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The result: `succeeded`, `failed` or `cancelled`.
    pub state: EssayState,
    /// The text that the phase produced, if any.
    pub text_storage_id: Option<StorageId>,
    /// The code of the reason for a failure.
    pub error_code: Option<String>,
    /// Figures of the phase about it, as JSON.
    pub figures: Option<String>,
    /// When the result was recorded.
    pub ended_at: chrono::DateTime<chrono::Utc>,
}

/// Whether the code of a failed row can be replaced: by a stated code if a worker gave it, by a read one if it is vague.
macro_rules! replaceable {
    ($row:literal, $is_stated:literal) => {
        concat!(
            "(",
            $row,
            ".error_code IN ('spellcheck_failed', 'phase_failed') OR (",
            $is_stated,
            " = 1 AND ",
            $row,
            ".error_code NOT IN ('phase_timeout', 'not_in_outcome', 'registration_timeout')))"
        )
    };
}

/// PostgreSQL takes all reports as arrays and writes `essays` and `essay_phases` in one statement. SQLite has no statement that
/// changes two tables: this runs once per report, then [`CONCLUDED`] writes `essay_phases`. Essays are looked up by key, as in
/// `essays.rs`, because a join compared each report with every essay of its batch (half of the statement's time for a class).
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

/// Looked up by key as in `essays.rs`. A code of the service itself replaces another reason, a read one only a vague one; what
/// BOS has decided stands.
macro_rules! refine_reasons {
    ($table:literal) => {
        Sql::each(
            $table,
            "refine reasons of failures",
            concat!(
                "UPDATE ",
                $table,
                " e SET error_code = n.error_code \
                 FROM UNNEST($4::uuid[], $5::text[], $6::bigint[]) AS n (essay_id, error_code, is_stated) \
                 CROSS JOIN LATERAL ( \
                   SELECT f.ctid FROM ",
                $table,
                " f WHERE f.batch_id = $1 AND f.phase = $2 AND f.attempt = $3 AND f.essay_id = n.essay_id \
                   AND f.state = 'failed' AND ",
                replaceable!("f", "n.is_stated"),
                " LIMIT 1) AS found (place) WHERE e.ctid = found.place"
            ),
            concat!(
                "UPDATE ",
                $table,
                " AS f SET error_code = ?5 \
                 WHERE batch_id = ?1 AND phase = ?2 AND attempt = ?3 AND essay_id = ?4 AND state = 'failed' AND ",
                replaceable!("f", "?6")
            ),
        )
    };
}

const REFINE_RESULTS: Sql = refine_reasons!("essay_phases");
const REFINE_ESSAYS: Sql = refine_reasons!("essays");

const CLOSE_OPEN: Sql = Sql::both(
    "essay_phases",
    "close the open essays of a phase",
    "INSERT INTO essay_phases (batch_id, phase, attempt, essay_id, state, error_code, ended_at) \
     SELECT batch_id, phase, attempt, essay_id, $1, $2, $3 FROM essays \
     WHERE batch_id = $4 AND state = 'in_progress' AND phase = $5 AND attempt = $6",
);

/// On PostgreSQL this includes the effect of [`CLOSE_OPEN`].
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
    /// Records reports about essays that are in progress in this attempt. Those that succeeded change to the state
    /// `after_success`.
    ///
    /// All other reports are stale. Their figures are still added to a row that has none, and their reason replaces a less precise
    /// one, because the detailed form of a result may arrive after the short one.
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
        let rows: Vec<_> = first.iter().map(|report| report_values(report)).collect();
        let now = self.now();
        let attempt_of_phase = params![after_success.as_str(), batch, phase.as_str(), attempt, now];
        let mut changed = self.changed_many(CONCLUDE, 1, attempt_of_phase, &rows).await?.into_iter();
        let (new, late): (Vec<_>, Vec<_>) =
            first.into_iter().partition(|_| changed.next().unwrap_or_default());
        if self.is_sqlite() {
            let rows: Vec<_> = new.iter().map(|report| report_values(report)).collect();
            self.exec_many(CONCLUDED, attempt_of_phase, &rows).await?;
        }

        let figures: Vec<_> = late
            .iter()
            .chain(&again)
            .filter_map(|report| Some([report.essay_id.into(), Json(report.figures.as_deref()?).into()]))
            .collect();
        self.exec_many(FILL_FIGURES, params![batch, phase.as_str(), attempt], &figures).await?;
        let mut precise: Vec<_> =
            late.iter().chain(&again).filter(|report| report.precision > Precision::Vague).collect();
        // Of several reasons for one essay the most precise counts.
        precise.sort_by_key(|report| (report.essay_id, std::cmp::Reverse(report.precision)));
        precise.dedup_by_key(|report| report.essay_id);
        let reasons: Vec<_> = precise.into_iter().filter_map(|report| reason_values(report)).collect();
        if !reasons.is_empty() {
            self.exec_many(REFINE_RESULTS, params![batch, phase.as_str(), attempt], &reasons).await?;
            self.exec_many(REFINE_ESSAYS, params![batch, phase.as_str(), attempt], &reasons).await?;
        }

        let succeeded = count(new.iter().filter(|report| report.succeeded).count() as u64);
        let failed = count(new.len() as u64) - succeeded;
        Ok(Concluded { succeeded, failed, stale: count((late.len() + again.len()) as u64) })
    }

    /// Fails every essay that is still in progress in this attempt. Returns how many.
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

    /// Records `cancelled` as the result of the essays that are in progress in this attempt. The caller then runs
    /// [`Tx::cancel_essays`], which changes the essays themselves.
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

/// The reason of a late failure as the columns essay, error code, whether the service stated it.
fn reason_values(report: &EssayReport) -> Option<[Param<'_>; 3]> {
    let code = report.error_code.as_deref().filter(|_| !report.succeeded)?;
    Some([report.essay_id.into(), code.into(), (report.precision == Precision::Stated).into()])
}

/// A report as the columns essay, succeeded, figures, text, error code. The error code of a success is dropped.
fn report_values(report: &EssayReport) -> [Param<'_>; 5] {
    let code = report.error_code.as_deref().filter(|_| !report.succeeded);
    [
        report.essay_id.into(),
        report.succeeded.into(),
        report.figures.as_deref().map(Json).into(),
        report.text_storage_id.as_ref().into(),
        code.into(),
    ]
}
