//! `timers`: at most one deadline of each kind per batch. A timer that fires for an outdated state changes nothing.

use chrono::{DateTime, Utc};
use domain::{BatchId, Timer, TimerKind};

use crate::error::Error;
use crate::param::{Param, params};
use crate::sql::Sql;
use crate::tables::{LowWaterMark, QueueDepth};
use crate::tx::Tx;

/// A deadline to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTimer {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The batch.
    pub batch: BatchId,
    /// Its kind and what it is for.
    pub timer: Timer,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// The task that fires a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FiredBy {
    /// Any timer, where one task fires them all.
    Any,
    /// Timers of the other kinds.
    Timers,
    /// Timers before which the lifecycle service is asked ([`TimerKind::asks_lifecycle`]).
    Inquiry,
}

/// A deadline that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The batch.
    pub batch: BatchId,
    /// Its kind and what it is for.
    pub timer: Timer,
    /// When it was due.
    pub due_at: DateTime<Utc>,
}

const SET: Sql = Sql::both(
    "timers",
    "set timers",
    "INSERT INTO timers (shard, batch_id, kind, run, phase, attempt, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

const IN_PLACE: &str = "ON CONFLICT (shard, batch_id, kind) DO UPDATE SET run = excluded.run, phase = excluded.phase, \
     attempt = excluded.attempt, due_at = excluded.due_at";

/// On PostgreSQL, each timer is looked up by itself, in the order of the primary key: by statistics of an empty table a join
/// read every timer for each unit, the deleted ones too while a transaction of another database kept them (decision 15).
const CLEAR: Sql = Sql::each(
    "timers",
    "clear timers",
    "DELETE FROM timers t USING UNNEST($1::bigint[], $2::uuid[], $3::text[]) AS n (shard, batch_id, kind) CROSS JOIN LATERAL ( \
       SELECT f.ctid FROM timers f WHERE f.shard = n.shard AND f.batch_id >= n.batch_id AND f.batch_id <= n.batch_id \
       AND f.kind = n.kind ORDER BY f.batch_id LIMIT 1) AS found (place) WHERE t.ctid = found.place",
    "DELETE FROM timers WHERE shard = $1 AND batch_id = $2 AND kind = $3",
);

/// Looked up as in [`CLEAR`]: by statistics of an empty table, PostgreSQL took the index by due time, and read all timers that were
/// due at the same moment.
const CLEAR_FIRED: Sql = Sql::each(
    "timers",
    "clear a fired timer",
    "DELETE FROM timers WHERE ctid = ( \
       SELECT ctid FROM timers WHERE shard = $1 AND batch_id >= $2 AND batch_id <= $2 AND kind = $3 \
       ORDER BY batch_id LIMIT 1) AND due_at = $4",
    "DELETE FROM timers WHERE shard = $1 AND batch_id = $2 AND kind = $3 AND due_at = $4",
);

const DUE: Sql = Sql::each(
    "timers",
    "list due timers",
    "SELECT t.* FROM UNNEST($4::bigint[], $5::timestamptz[]) AS n (shard, low) CROSS JOIN LATERAL ( \
       SELECT shard, batch_id, kind, run, phase, attempt, due_at FROM timers t \
       WHERE t.shard = n.shard AND due_at >= n.low AND due_at <= $1 \
       AND ($3::bigint = 0 OR ($3::bigint = 2) = (kind IN ('start', 'outcome_grace'))) ORDER BY due_at, batch_id LIMIT $2) AS t \
     ORDER BY due_at, batch_id LIMIT $2",
    "SELECT shard, batch_id, kind, run, phase, attempt, due_at FROM timers WHERE shard = ?4 AND due_at >= ?5 AND due_at <= ?1 \
     AND (?3 = 0 OR (?3 = 2) = (kind IN ('start', 'outcome_grace'))) ORDER BY due_at, batch_id LIMIT ?2",
);

const OVERDUE: Sql = Sql::both(
    "timers",
    "count overdue timers",
    "SELECT CAST(count(*) AS BIGINT), min(due_at) FROM timers WHERE due_at <= $1",
);

impl Tx {
    /// Sets timers; each replaces the timer of the same kind of its batch. `timers` must not hold two of one kind for a batch.
    pub async fn set_timers(&mut self, timers: &[SetTimer]) -> Result<(), Error> {
        let rows = timers.iter().map(|SetTimer { shard, batch, timer, due_at }| -> [Param<'_>; 7] {
            [
                (*shard).into(),
                (*batch).into(),
                timer.kind.as_str().into(),
                timer.run.into(),
                timer.phase.map(domain::Phase::as_str).into(),
                timer.attempt.into(),
                (*due_at).into(),
            ]
        });
        self.insert_many_deferred(SET, IN_PLACE, rows).await
    }

    /// Deletes the timers of these shards, batches and kinds. Timers that are not set are ignored.
    pub async fn clear_timers(&mut self, timers: &[(i64, BatchId, TimerKind)]) -> Result<(), Error> {
        let row = |(shard, batch, kind): &(i64, BatchId, TimerKind)| -> [Param<'_>; 3] {
            [(*shard).into(), (*batch).into(), kind.as_str().into()]
        };
        let rows: Vec<_> = timers.iter().map(row).collect();
        self.exec_many_deferred(CLEAR, &[], &rows).await
    }

    /// Deletes a timer that has fired; returns false if it was deleted or set again since it was read.
    pub async fn clear_fired(&mut self, fired: &DueTimer) -> Result<bool, Error> {
        let values = params![fired.shard, fired.batch, fired.timer.kind.as_str(), fired.due_at];
        Ok(self.exec(CLEAR_FIRED, values).await? == 1)
    }

    /// At most `limit` due timers of these shards that `by` fires, longest overdue first, from each shard's low-water mark on: the
    /// earliest time at which one of these timers may be due. A mark saves the scan of deleted rows that a transaction elsewhere
    /// keeps from being skipped.
    pub async fn due_timers(
        &mut self,
        from: &[LowWaterMark<DateTime<Utc>>],
        now: DateTime<Utc>,
        by: FiredBy,
        limit: u32,
    ) -> Result<Vec<DueTimer>, Error> {
        let by = match by {
            FiredBy::Any => 0_u32,
            FiredBy::Timers => 1,
            FiredBy::Inquiry => 2,
        };
        self.all_many(DUE, params![now, limit, by], &LowWaterMark::rows(from), |row| {
            Ok(DueTimer {
                shard: row.get(0)?,
                batch: row.get(1)?,
                timer: Timer {
                    kind: row.word(2)?,
                    run: row.get(3)?,
                    phase: row.optional_word(4)?,
                    attempt: row.get(5)?,
                },
                due_at: row.get(6)?,
            })
        })
        .await
    }

    /// The number of due timers of all shards that have not fired, and since when the oldest is due.
    pub async fn overdue_timers(&mut self) -> Result<QueueDepth, Error> {
        let now = self.now();
        let depth = self
            .one(OVERDUE, params![now], |row| Ok(QueueDepth { rows: row.get(0)?, oldest_at: row.get(1)? }))
            .await?;
        Ok(depth.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_names_the_kinds_before_which_the_lifecycle_service_is_asked() {
        let named = |kind: &TimerKind| DUE.sqlite.contains(&format!("'{}'", kind.as_str()));
        assert!(TimerKind::ALL.iter().all(|kind| named(kind) == kind.asks_lifecycle()));
        assert!(
            TimerKind::ALL.iter().all(|kind| {
                DUE.postgres.contains(&format!("'{}'", kind.as_str())) == kind.asks_lifecycle()
            })
        );
    }
}
