//! Time that passes when the simulation says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::ports::Clock;

/// When every run begins, in microseconds since 1970.
const START: i64 = 1_795_000_000_000_000;

/// A clock that stands still between turns. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimulatedClock(Arc<AtomicI64>);

impl SimulatedClock {
    /// How long the run has taken.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The time.
    pub fn time(&self) -> DateTime<Utc> {
        let micros = TimeDelta::microseconds(START.saturating_add(self.0.load(Ordering::Relaxed)));
        DateTime::UNIX_EPOCH + micros
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        self.time()
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    /// One thing happens at a time, so whoever waits within a turn lets the time pass for all.
    async fn sleep(&self, time: Duration) {
        self.advance(time);
    }

    /// The whole pause: a run is the same each time.
    fn jitter(&self) -> f64 {
        1.0
    }
}
