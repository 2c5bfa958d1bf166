//! A neighbour that cannot be used, as whoever asked it last has found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// A neighbour that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Why, as a stable code.
    pub code: &'static str,
    /// When that began.
    pub since: DateTime<Utc>,
}

/// A neighbour, and its trouble. All is well far more often than not, and then nobody takes a lock.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    is_in_trouble: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

impl Watched {
    pub(crate) fn get(&self) -> Option<Trouble> {
        if !self.is_in_trouble.load(Ordering::Acquire) {
            return None;
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in how the neighbour was found. The beginning of a trouble stays, whatever its code becomes.
    pub(crate) fn set(&self, code: Option<&'static str>, clock: &dyn Clock) {
        if code.is_none() && !self.is_in_trouble.load(Ordering::Acquire) {
            return;
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = code.map(|code| Trouble { code, since: trouble.map_or_else(|| clock.now(), |t| t.since) });
        self.is_in_trouble.store(trouble.is_some(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ports::ManualClock;

    #[test]
    fn a_trouble_has_begun_when_it_was_first_met_and_is_over_at_the_first_success() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let bus = Watched::default();
        bus.set(None, &clock);
        assert_eq!(bus.get(), None);
        bus.set(Some("broker_unreachable"), &clock);
        clock.advance(Duration::from_secs(5));
        bus.set(Some("broker_timeout"), &clock);
        let met = Trouble { code: "broker_timeout", since: DateTime::UNIX_EPOCH };
        assert_eq!(bus.get(), Some(met));
        bus.set(None, &clock);
        assert_eq!(bus.get(), None);
    }
}
