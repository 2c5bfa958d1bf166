//! Simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::ports::Clock;

/// The start of every run, in microseconds since 1970.
const START: i64 = 1_795_000_000_000_000;

/// A clock that only the simulation advances. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimulatedClock(Arc<AtomicI64>);

impl SimulatedClock {
    /// The time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The current time.
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

    /// Advances the clock for everything: one thing happens at a time.
    async fn sleep(&self, time: Duration) {
        self.advance(time);
    }

    /// Always 1.0, so that a run is reproducible.
    fn jitter(&self) -> f64 {
        1.0
    }
}
