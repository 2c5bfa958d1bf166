//! The health of a dependency, as its last use has shown it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// An outage of a dependency: the Content Service or the event bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The reason, as a stable code. It is that of the last error.
    pub code: &'static str,
    /// When the outage began: the first error after the last success.
    pub since: DateTime<Utc>,
}

/// The health of one dependency. While it is healthy, neither reading nor writing takes the lock.
#[derive(Debug, Default)]
pub(crate) struct DependencyHealth {
    is_out: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

impl DependencyHealth {
    pub(crate) fn outage(&self) -> Option<Outage> {
        if !self.is_out.load(Ordering::Acquire) {
            return None;
        }
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the result of a use: the code of an error, or `None` for a success. An outage keeps its beginning when its code
    /// changes.
    pub(crate) fn set(&self, code: Option<&'static str>, clock: &dyn Clock) {
        if code.is_none() && !self.is_out.load(Ordering::Acquire) {
            return;
        }
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        *outage = code.map(|code| Outage { code, since: outage.map_or_else(|| clock.now(), |o| o.since) });
        self.is_out.store(outage.is_some(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ports::ManualClock;

    #[test]
    fn an_outage_begins_with_the_first_error_and_ends_with_the_first_success() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let bus = DependencyHealth::default();
        bus.set(None, &clock);
        assert_eq!(bus.outage(), None);
        bus.set(Some("broker_unreachable"), &clock);
        clock.advance(Duration::from_secs(5));
        bus.set(Some("broker_timeout"), &clock);
        let outage = Outage { code: "broker_timeout", since: DateTime::UNIX_EPOCH };
        assert_eq!(bus.outage(), Some(outage));
        bus.set(None, &clock);
        assert_eq!(bus.outage(), None);
    }
}
