//! The status of a batch, from one snapshot.

use domain::{BatchId, EssayId, EssayState, Phase};

use crate::error::Error;
use crate::param::params;
use crate::sql::Sql;
use crate::tables::batches::{BatchRow, Owner, batch_columns, owned};
use crate::tables::essays::EssayCounts;
use crate::tx::Tx;

/// A batch with counts of its essays, from one snapshot.
#[derive(Debug, Clone)]
pub struct StatusRow {
    /// The batch.
    pub row: BatchRow,
    /// Its essays by state, counted from the rows.
    pub counts: EssayCounts,
    /// Counts of results for each attempt at a phase.
    pub attempts: Vec<AttemptCounts>,
}

/// The results so far of an attempt at a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCounts {
    /// The phase.
    pub phase: Phase,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Essays that succeeded.
    pub succeeded: u32,
    /// Essays that failed.
    pub failed: u32,
    /// Essays that were cancelled during the attempt.
    pub cancelled: u32,
}

const REVISION: Sql = Sql::both(
    "batches",
    "look up a revision",
    "SELECT revision FROM batches WHERE batch_id = $1 AND owner_user_id = $2 AND org_id IS NOT DISTINCT FROM $3",
);

/// The ordering keys of a batch's messages are its id and the ids of its essays, which are adjacent in the index.
const REVISION_AND_PENDING: Sql = Sql::both(
    "batches",
    "look up a revision and pending messages",
    "SELECT b.revision, CAST(CASE WHEN b.ended_at IS NULL THEN ( \
       SELECT count(*) FROM outbox o WHERE o.shard = b.shard AND o.ordering_key >= $1 AND o.ordering_key <= $2 AND o.state = 0 \
     ) ELSE 0 END AS BIGINT) \
     FROM batches b WHERE b.batch_id = $3 AND b.owner_user_id = $4 AND b.org_id IS NOT DISTINCT FROM $5",
);

const BATCH: Sql = Sql::both(
    "batches",
    "read a status",
    concat!(
        "SELECT ",
        batch_columns!(),
        " FROM batches b WHERE b.batch_id = $1 AND b.owner_user_id = $2 AND b.org_id IS NOT DISTINCT FROM $3"
    ),
);

const COUNTS: Sql = Sql::both(
    "essays",
    "read a status",
    concat!(
        "SELECT state, CAST(count(*) AS BIGINT) FROM essays WHERE batch_id = $1 AND ",
        owned!(),
        " GROUP BY state"
    ),
);

const ATTEMPTS: Sql = Sql::both(
    "essay_phases",
    "read a status",
    concat!(
        "SELECT phase, attempt, state, CAST(count(*) AS BIGINT) FROM essay_phases WHERE batch_id = $1 AND ",
        owned!(),
        " GROUP BY phase, attempt, state ORDER BY phase, attempt"
    ),
);

impl Tx {
    /// The revision of a batch. A single look-up by key, because it answers most polls.
    pub async fn revision(&mut self, owner: &Owner, batch: BatchId) -> Result<Option<i64>, Error> {
        self.one(REVISION, params![batch, &owner.user_id, owner.org_id.as_deref()], |row| row.get(0)).await
    }

    /// The revision of a batch and the number of its pending messages, which is 0 once it has ended.
    pub async fn revision_and_pending(
        &mut self,
        owner: &Owner,
        batch: BatchId,
    ) -> Result<Option<(i64, i64)>, Error> {
        let (first, last) = (batch.to_string(), EssayId::new(batch, EssayId::LAST_POSITION).to_string());
        let values = params![&first, &last, batch, &owner.user_id, owner.org_id.as_deref()];
        self.one(REVISION_AND_PENDING, values, |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    /// The status of a batch.
    pub async fn status_row(&mut self, owner: &Owner, batch: BatchId) -> Result<Option<StatusRow>, Error> {
        let caller = params![batch, &owner.user_id, owner.org_id.as_deref()];
        let Some(row) = self.one(BATCH, caller, BatchRow::read).await? else { return Ok(None) };
        let counts = self.all(COUNTS, caller, |row| Ok((row.word(0)?, row.get(1)?))).await?;
        let ended = self
            .all(ATTEMPTS, caller, |row| Ok((row.word(0)?, row.get(1)?, row.word(2)?, row.get(3)?)))
            .await?;
        Ok(Some(StatusRow { row, counts: EssayCounts::from_rows(counts), attempts: by_attempt(ended) }))
    }
}

fn by_attempt(rows: Vec<(Phase, u32, EssayState, u32)>) -> Vec<AttemptCounts> {
    let mut attempts: Vec<AttemptCounts> = Vec::new();
    for (phase, attempt, state, number) in rows {
        let known = attempts.last_mut().filter(|last| (last.phase, last.attempt) == (phase, attempt));
        let counts = if let Some(known) = known {
            known
        } else {
            attempts.push(AttemptCounts { phase, attempt, succeeded: 0, failed: 0, cancelled: 0 });
            let Some(new) = attempts.last_mut() else { continue };
            new
        };
        match state {
            EssayState::Succeeded => counts.succeeded += number,
            EssayState::Failed => counts.failed += number,
            EssayState::Cancelled => counts.cancelled += number,
            // A constraint of the table excludes these.
            EssayState::Waiting | EssayState::InProgress | EssayState::Skipped => {}
        }
    }
    attempts
}
