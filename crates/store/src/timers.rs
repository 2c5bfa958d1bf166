//! `timers`: at most one deadline of each kind per batch. A timer that fires for a state long gone changes nothing.

use chrono::{DateTime, Utc};
use domain::{BatchId, Timer, TimerKind};

use crate::error::Error;
use crate::param::{Param, params};
use crate::tx::{Sql, Tx};

/// What waits in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Rows.
    pub rows: i64,
    /// Since when the oldest one waits.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// A deadline that has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// The shard of the batch's slot.
    pub shard: i64,
    /// The batch.
    pub batch: BatchId,
    /// What the deadline is about.
    pub timer: Timer,
    /// When it was due.
    pub due_at: DateTime<Utc>,
}

const SET: Sql = Sql::both(
    "timers",
    "set a timer",
    "INSERT INTO timers (shard, batch_id, kind, run, phase, attempt, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (shard, batch_id, kind) DO UPDATE SET run = excluded.run, phase = excluded.phase, \
     attempt = excluded.attempt, due_at = excluded.due_at",
);

const CLEAR: Sql = Sql::both(
    "timers",
    "clear a timer",
    "DELETE FROM timers WHERE shard = $1 AND batch_id = $2 AND kind = $3",
);

const CLEAR_ALL: Sql =
    Sql::both("timers", "clear timers", "DELETE FROM timers WHERE shard = $1 AND batch_id = $2");

const CLEAR_FIRED: Sql = Sql::both(
    "timers",
    "clear a fired timer",
    "DELETE FROM timers WHERE shard = $1 AND batch_id = $2 AND kind = $3 AND due_at = $4",
);

const DUE: Sql = Sql::each(
    "timers",
    "list timers that are due",
    "SELECT t.* FROM UNNEST($3::bigint[]) AS n (shard) CROSS JOIN LATERAL ( \
       SELECT shard, batch_id, kind, run, phase, attempt, due_at FROM timers t \
       WHERE t.shard = n.shard AND due_at <= $1 ORDER BY due_at, batch_id LIMIT $2) AS t \
     ORDER BY due_at, batch_id LIMIT $2",
    "SELECT shard, batch_id, kind, run, phase, attempt, due_at FROM timers WHERE shard = ?3 AND due_at <= ?1 \
     ORDER BY due_at, batch_id LIMIT ?2",
);

const OVERDUE: Sql = Sql::both(
    "timers",
    "count overdue timers",
    "SELECT CAST(count(*) AS BIGINT), min(due_at) FROM timers WHERE due_at <= $1",
);

impl Tx {
    /// Sets a timer, in place of one of the same kind.
    pub async fn set_timer(
        &mut self,
        shard: i64,
        batch: BatchId,
        timer: &Timer,
        due_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let phase = Param::from(timer.phase.map(domain::Phase::as_str));
        let values = [
            shard.into(),
            batch.into(),
            timer.kind.as_str().into(),
            timer.run.into(),
            phase,
            timer.attempt.into(),
            due_at.into(),
        ];
        self.exec(SET, &values).await.map(drop)
    }

    /// Clears the timer of a kind, if it is set.
    pub async fn clear_timer(&mut self, shard: i64, batch: BatchId, kind: TimerKind) -> Result<(), Error> {
        self.exec(CLEAR, params![shard, batch, kind.as_str()]).await.map(drop)
    }

    /// Clears every timer of a batch.
    pub async fn clear_timers(&mut self, shard: i64, batch: BatchId) -> Result<(), Error> {
        self.exec(CLEAR_ALL, params![shard, batch]).await.map(drop)
    }

    /// Clears a timer that has fired; false when it is not there any more, or was set anew since it was read.
    pub async fn clear_fired(&mut self, fired: &DueTimer) -> Result<bool, Error> {
        let values = params![fired.shard, fired.batch, fired.timer.kind.as_str(), fired.due_at];
        Ok(self.exec(CLEAR_FIRED, values).await? == 1)
    }

    /// The timers of these shards that are due, longest overdue first, at most `limit`.
    pub async fn due_timers(
        &mut self,
        shards: &[i64],
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<DueTimer>, Error> {
        let shards: Vec<_> = shards.iter().map(|shard| [Param::from(*shard)]).collect();
        self.all_many(DUE, params![now, limit], &shards, |row| {
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

    /// How many timers of all shards have not fired although they are due, and since when the first one is.
    pub async fn overdue_timers(&mut self) -> Result<Waiting, Error> {
        let now = self.now();
        let waiting = self
            .one(OVERDUE, params![now], |row| Ok(Waiting { rows: row.get(0)?, oldest_at: row.get(1)? }))
            .await?;
        Ok(waiting.unwrap_or_default())
    }
}
