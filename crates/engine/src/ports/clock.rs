//! The clock.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// The time, the pauses, and the random part of pauses.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The wall-clock time. On SQLite it stamps the units of work; PostgreSQL uses its own clock.
    fn now(&self) -> DateTime<Utc>;

    /// The time since an arbitrary instant. It never goes back, also when the wall clock is set.
    fn monotonic(&self) -> Duration;

    /// Returns after this time.
    async fn sleep(&self, time: Duration);

    /// A random factor for a pause, above 0 and at most 1, so that processes do not retry in step.
    fn jitter(&self) -> f64 {
        f64::from(1 + getrandom::u32().map_or(1023, |n| n % 1024)) / 1024.0
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
    fn now(&self) -> DateTime<Utc> {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A clock that stands still until a test advances it.
#[derive(Debug)]
pub struct ManualClock {
    start: DateTime<Utc>,
    now: tokio::sync::watch::Sender<DateTime<Utc>>,
}

impl ManualClock {
    /// A clock that stands at this time.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { start, now: tokio::sync::watch::Sender::new(start) }
    }

    /// Advances the clock, and wakes those whose pause has ended.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    fn monotonic(&self) -> Duration {
        (self.now() - self.start).to_std().unwrap_or_default()
    }

    async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        let mut seen = self.now.subscribe();
        // `self` owns the sender, so this cannot fail.
        let _ = seen.wait_for(|now| *now >= until).await;
    }
}
