//! How far retention trusts the clock.
//!
//! Nothing that was deleted comes back, so a clock that jumped forward must not delete what is young. Retention remembers in the
//! database the latest time that it believes. A clock that is further ahead of it than the process has run since is doubted:
//! until it has been so for a day of running, retention goes on with the time that it believes. After a long pause of the whole
//! installation retention is therefore late by a day, which harms nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::{Lane, Store, Tx};

use crate::error::Error;
use crate::ports::Clock;

/// The key in `meta`.
const KEY: &str = "retention_clock";
/// The largest lead that is not doubted: less than the shortest retention, and more than clocks are corrected by; chosen.
const TOLERANCE: Duration = Duration::from_hours(1);
/// How long a clock must be ahead, while the process runs, before it is believed.
const PROBATION: Duration = Duration::from_hours(24);

/// The time that retention believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Belief {
    time: DateTime<Utc>,
    /// For how long the clock has been ahead of it, in seconds of running.
    doubted_seconds: u64,
    /// The clock when this was written.
    at: DateTime<Utc>,
}

impl Belief {
    /// The belief at the first sweep of an installation whose newest batch is of this time.
    fn first(newest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        Self { time: newest.unwrap_or(now), doubted_seconds: 0, at: now }
    }

    /// The belief after the process has run for this time since it last observed the clock.
    fn observe(self, now: DateTime<Utc>, running: Duration) -> Self {
        let expected = self.time + running;
        if now <= expected + TOLERANCE {
            // Also if the clock was set back: what is older than the earlier of both times is old by either.
            return Self { time: self.time.max(now), doubted_seconds: 0, at: now };
        }
        // Other processes count their running time too, but not the same time twice.
        let since = (now - self.at).to_std().unwrap_or_default();
        let doubted = Duration::from_secs(self.doubted_seconds) + running.min(since);
        if doubted >= PROBATION {
            return Self { time: now, doubted_seconds: 0, at: now };
        }
        Self { time: expected, doubted_seconds: doubted.as_secs(), at: now }
    }

    /// How far the clock is ahead of what is believed; by so much longer everything is kept.
    fn lead(&self) -> Duration {
        (self.at - self.time).to_std().unwrap_or_default()
    }
}

/// The monotonic time at which this process last observed the clock.
#[derive(Debug)]
pub(crate) struct RetentionClock {
    observed_at: Mutex<Duration>,
}

impl RetentionClock {
    /// A process that begins to run.
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { observed_at: Mutex::new(clock.monotonic()) }
    }

    /// Observes the database's clock. Returns by how much longer than their retention rows are kept.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn observe(&self, store: &Store, clock: &dyn Clock) -> Result<Duration, Error> {
        let last = || self.observed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *last();
        let observed_at = clock.monotonic();
        let running = observed_at.saturating_sub(before);
        let unit = store.unit(Lane::Task, move |tx| {
            Box::pin(async move {
                let belief = read(tx).await?.observe(tx.now(), running);
                let text = serde_json::to_string(&belief).map_err(|_| Error::Unwritable)?;
                tx.set_meta(KEY, &text).await?;
                Ok::<_, Error>(belief)
            })
        });
        let lead = unit.await?.lead();
        *last() = observed_at;
        if !lead.is_zero() {
            tracing::warn!(
                ahead_hours = lead.as_secs() / 3_600,
                "the database's clock is ahead of the time that this installation has seen; rows are kept longer by that, until \
                 the clock has been so for a day"
            );
        }
        Ok(lead)
    }
}

async fn read(tx: &mut Tx) -> Result<Belief, Error> {
    let written = tx.meta(KEY).await?.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(belief) = written {
        return Ok(belief);
    }
    Ok(Belief::first(tx.newest_batch().await?, tx.now()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    fn days(count: i64) -> TimeDelta {
        TimeDelta::days(count)
    }

    #[test]
    fn a_clock_that_runs_with_the_process_is_believed() {
        let mut belief = Belief::first(None, start());
        for hours in 1..200 {
            let now = start() + HOUR * hours;
            belief = belief.observe(now, HOUR);
            assert_eq!((belief.time, belief.lead()), (now, Duration::ZERO));
        }
    }

    #[test]
    fn a_forward_jump_is_believed_after_a_day_of_running_and_not_before() {
        let mut now = start() + days(91);
        let mut belief = Belief::first(None, start()).observe(now, Duration::ZERO);
        for hours in 0..24 {
            assert_eq!(belief.time, start() + HOUR * hours, "what is believed goes on");
            assert_eq!(belief.lead(), days(91).to_std().unwrap());
            now += HOUR;
            belief = belief.observe(now, HOUR);
        }
        assert_eq!((belief.time, belief.lead()), (now, Duration::ZERO));
    }

    #[test]
    fn a_second_jump_does_not_count_as_a_day_of_running() {
        let jumped = start() + days(91);
        let belief = Belief::first(None, start()).observe(jumped, Duration::ZERO);
        let belief = belief.observe(jumped + days(2), HOUR);
        assert_eq!(belief.time, start() + HOUR);
    }

    #[test]
    fn two_processes_do_not_count_the_same_day_twice() {
        let jumped = start() + days(91);
        let mut belief = Belief::first(None, start()).observe(jumped, Duration::ZERO);
        for hours in 1..=13 {
            for _ in 0..2 {
                belief = belief.observe(jumped + HOUR * hours, HOUR);
            }
        }
        assert!(!belief.lead().is_zero(), "13 hours have passed");
    }

    #[test]
    fn a_clock_that_jumped_and_is_corrected_is_believed_at_once() {
        let jumped = Belief::first(None, start()).observe(start() + days(91), Duration::ZERO);
        let now = start() + HOUR;
        let belief = jumped.observe(now, HOUR);
        assert_eq!((belief.time, belief.lead(), belief.doubted_seconds), (now, Duration::ZERO, 0));
    }

    #[test]
    fn a_clock_that_is_set_back_deletes_no_more() {
        let now = start() - days(1);
        let belief = Belief::first(None, start()).observe(now, Duration::ZERO);
        assert_eq!((belief.time, belief.lead()), (start(), Duration::ZERO));
    }

    #[test]
    fn an_installation_without_a_memory_begins_with_its_newest_batch() {
        let belief = Belief::first(Some(start()), start() + days(91)).observe(start() + days(91), HOUR);
        assert_eq!(belief.time, start() + HOUR);
    }
}
