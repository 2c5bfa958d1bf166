//! The essays of a batch, page by page.

use domain::{BatchId, EssayId, EssayState};

use crate::error::Error;
use crate::param::{Param, params};
use crate::reads::owner_params;
use crate::row::{JsonText, Row};
use crate::sql::Sql;
use crate::tables::batches::{Owner, owned};
use crate::tables::essay_phases::EssayPhaseRow;
use crate::tables::essays::{EssayRow, essay_columns};
use crate::tx::Tx;

/// An essay with results of phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EssayDetail {
    /// The essay.
    pub essay: EssayRow,
    /// From [`Tx::essays_page`] and [`Tx::essay_detail`]: the results of all attempts, in the order in which they were
    /// recorded. From [`Tx::results_page`]: the result of the latest attempt at each phase, in the order of phases.
    pub phases: Vec<EssayPhaseRow>,
}

/// An essay id contains the position, so id order is position order and a page is a range of the primary key.
const PAGE: Sql = Sql::both(
    "essays",
    "list essays",
    concat!(
        "SELECT ",
        essay_columns!(),
        " FROM essays e WHERE e.batch_id = $1 AND ",
        owned!(),
        " AND e.essay_id > $4 AND (CAST($5 AS TEXT) IS NULL OR e.state = $5) ORDER BY e.essay_id LIMIT $6"
    ),
);

const ONE: Sql = Sql::both(
    "essays",
    "read an essay",
    concat!(
        "SELECT ",
        essay_columns!(),
        " FROM essays e WHERE e.batch_id = $1 AND ",
        owned!(),
        " AND e.essay_id = $4"
    ),
);

const PHASES: Sql = Sql::both(
    "essay_phases",
    "read the phase results of essays",
    concat!(
        "SELECT essay_id, phase, attempt, state, text_storage_id, error_code, figures, ended_at FROM essay_phases \
         WHERE batch_id = $1 AND ",
        owned!(),
        " AND essay_id >= $4 AND essay_id <= $5 ORDER BY essay_id, ended_at, phase, attempt"
    ),
);

impl EssayPhaseRow {
    fn read(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            essay_id: row.get(0)?,
            phase: row.word(1)?,
            attempt: row.get(2)?,
            state: row.word(3)?,
            text_storage_id: row.get(4)?,
            error_code: row.get(5)?,
            figures: row.get::<Option<JsonText>>(6)?.map(|json| json.0),
            ended_at: row.get(7)?,
        })
    }
}

impl Tx {
    /// A page of a batch's essays by position, with the results of their phases: at most `limit` after `after_position`; of one
    /// state, if given. `None` if the batch does not exist or has another owner.
    pub async fn essays_page(
        &mut self,
        owner: &Owner,
        batch: BatchId,
        after_position: Option<u16>,
        limit: u32,
        state: Option<EssayState>,
    ) -> Result<Option<Vec<EssayDetail>>, Error> {
        if self.revision(owner, batch).await?.is_none() {
            return Ok(None);
        }
        // The id of the batch is below the ids of all its essays.
        let after = after_position.map_or(batch.as_uuid(), |at| EssayId::new(batch, at).as_uuid());
        let [b, user, org] = owner_params(owner, batch);
        let state = Param::from(state.map(EssayState::as_str));
        let values = [b, user, org, after.into(), state, limit.into()];
        let essays = self.all(PAGE, &values, EssayRow::read).await?;
        self.with_phases(owner, batch, essays).await.map(Some)
    }

    /// One essay with the results of its phases; `None` if it does not exist or has another owner.
    pub async fn essay_detail(
        &mut self,
        owner: &Owner,
        essay: EssayId,
    ) -> Result<Option<EssayDetail>, Error> {
        let batch = essay.batch();
        let [b, user, org] = owner_params(owner, batch);
        let found = self.one(ONE, &[b, user, org, essay.into()], EssayRow::read).await?;
        Ok(self.with_phases(owner, batch, found.into_iter().collect()).await?.pop())
    }

    async fn with_phases(
        &mut self,
        owner: &Owner,
        batch: BatchId,
        essays: Vec<EssayRow>,
    ) -> Result<Vec<EssayDetail>, Error> {
        let (Some(first), Some(last)) = (essays.first(), essays.last()) else { return Ok(Vec::new()) };
        let values = params![batch, &owner.user_id, owner.org_id.as_deref(), first.essay_id, last.essay_id];
        let mut phases = self.all(PHASES, values, EssayPhaseRow::read).await?.into_iter().peekable();
        let with_own = |essay: EssayRow| {
            // Both are ordered by essay. Results between two essays of the page belong to essays that the filter excluded.
            while phases.next_if(|p| p.essay_id < essay.essay_id).is_some() {}
            let own = std::iter::from_fn(|| phases.next_if(|p| p.essay_id == essay.essay_id)).collect();
            EssayDetail { essay, phases: own }
        };
        Ok(essays.into_iter().map(with_own).collect())
    }
}
