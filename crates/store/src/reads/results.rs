//! The results of a batch: what became of each essay, at any time, also of a batch that failed or was cancelled.

use domain::{BatchId, EssayState, Phase, StorageId};

use crate::batches::Owner;
use crate::error::Error;
use crate::essay_phases::EssayPhaseRow;
use crate::essays::EssayRow;
use crate::reads::essays::EssayDetail;
use crate::tx::Tx;

/// What became of one essay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// The essay as it stands; `current_text_storage_id` is its latest text.
    pub essay: EssayRow,
    /// The latest word of each phase on it.
    pub phases: Vec<PhaseResult>,
}

/// The latest word of a phase on an essay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseResult {
    /// The phase.
    pub phase: Phase,
    /// The attempt that it comes from.
    pub attempt: u32,
    /// Succeeded, failed or cancelled.
    pub state: EssayState,
    /// The text that the phase made.
    pub text_storage_id: Option<StorageId>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// The phase's figures, as JSON.
    pub figures: Option<String>,
}

impl Tx {
    /// A page of a batch's results by position: at most `limit` after a position, of one outcome if one is named. None for a
    /// batch that is not the caller's.
    pub async fn results_page(
        &mut self,
        owner: &Owner,
        batch: BatchId,
        after_position: Option<u16>,
        limit: u32,
        outcome: Option<EssayState>,
    ) -> Result<Option<Vec<ResultRow>>, Error> {
        let page = self.essays_page(owner, batch, after_position, limit, outcome).await?;
        Ok(page.map(|essays| essays.into_iter().map(result).collect()))
    }
}

fn result(EssayDetail { essay, phases }: EssayDetail) -> ResultRow {
    let mut latest: Vec<EssayPhaseRow> = Vec::new();
    for phase in phases {
        match latest.iter_mut().find(|known| known.phase == phase.phase) {
            Some(known) if known.attempt < phase.attempt => *known = phase,
            Some(_) => {}
            None => latest.push(phase),
        }
    }
    latest.sort_by_key(|row| row.phase);
    ResultRow { essay, phases: latest.into_iter().map(PhaseResult::from).collect() }
}

impl From<EssayPhaseRow> for PhaseResult {
    fn from(row: EssayPhaseRow) -> Self {
        Self {
            phase: row.phase,
            attempt: row.attempt,
            state: row.state,
            text_storage_id: row.text_storage_id,
            error_code: row.error_code,
            figures: row.figures,
        }
    }
}
