//! The results of a batch: the latest result of each phase for each essay, at any time, also of a failed or cancelled batch.

use domain::{BatchId, EssayState};

use crate::error::Error;
use crate::reads::essays::EssayDetail;
use crate::tables::batches::Owner;
use crate::tables::essay_phases::EssayPhaseRow;
use crate::tx::Tx;

impl Tx {
    /// A page of a batch's results by position: at most `limit` after `after_position`; of essays in one state, if given.
    /// `None` if the batch does not exist or has another owner. Each [`EssayDetail`] has the result of the latest attempt at
    /// each phase.
    pub async fn results_page(
        &mut self,
        owner: &Owner,
        batch: BatchId,
        after_position: Option<u16>,
        limit: u32,
        state: Option<EssayState>,
    ) -> Result<Option<Vec<EssayDetail>>, Error> {
        let page = self.essays_page(owner, batch, after_position, limit, state).await?;
        Ok(page.map(|essays| essays.into_iter().map(with_latest).collect()))
    }
}

/// The essay with the result of the latest attempt at each phase, in the order of phases.
fn with_latest(EssayDetail { essay, phases }: EssayDetail) -> EssayDetail {
    let mut latest: Vec<EssayPhaseRow> = Vec::new();
    for phase in phases {
        match latest.iter_mut().find(|known| known.phase == phase.phase) {
            Some(known) if known.attempt < phase.attempt => *known = phase,
            Some(_) => {}
            None => latest.push(phase),
        }
    }
    latest.sort_by_key(|row| row.phase);
    EssayDetail { essay, phases: latest }
}
