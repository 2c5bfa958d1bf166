//! Callers who hand in faster than anything could be worked on go first.
//!
//! Where the database shares its processors with what it serves, storing the texts of one class costs as much as accepting
//! several. A burst is taken in sooner when the former waits a moment, and nobody's essays are done later than they would be
//! with the queue that a slower intake leaves in front of the door.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ports::Clock;

/// Submissions and essays are counted over this time.
const WINDOW: Duration = Duration::from_millis(50);
/// A rush is so many submissions in a window, with so many essays: 1,200 a second, several times what all phases of them
/// could keep up with. A single class, however large, is none, nor are single essays one after the other.
const SUBMISSIONS: u32 = 3;
const ESSAYS: usize = 60;
/// When nobody has handed in for so long, it is over. A rush that is one only just has a submission every 17 ms.
const QUIET: Duration = Duration::from_millis(25);
/// The longest that a turn of ingest waits, so that texts leave also while a rush goes on.
const PATIENCE: Duration = Duration::from_secs(1);

/// How fast callers hand in just now.
#[derive(Debug, Default)]
pub(crate) struct Rush(Mutex<Windows>);

#[derive(Debug, Default, Clone, Copy)]
struct Windows {
    begun: Duration,
    last_arrival: Duration,
    now: Count,
    before: Count,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    submissions: u32,
    essays: usize,
}

impl Count {
    const fn is_rush(self) -> bool {
        self.submissions >= SUBMISSIONS && self.essays >= ESSAYS
    }
}

impl Windows {
    /// Moves on to the window that `now` is in.
    fn at(&mut self, now: Duration) -> &mut Self {
        let past = now.saturating_sub(self.begun);
        if past >= WINDOW {
            let before = if past < WINDOW * 2 { self.now } else { Count::default() };
            *self = Self { begun: now, now: Count::default(), before, ..*self };
        }
        self
    }
}

impl Rush {
    /// Somebody hands in so many essays; at this monotonic time, as all here.
    pub(crate) fn arrived(&self, essays: usize, now: Duration) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.at(now);
        windows.last_arrival = now;
        let count = &mut windows.now;
        count.submissions = count.submissions.saturating_add(1);
        count.essays = count.essays.saturating_add(essays);
    }

    fn is_on(&self, now: Duration) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.at(now);
        let is_quiet = now.saturating_sub(windows.last_arrival) >= QUIET;
        !is_quiet && (windows.now.is_rush() || windows.before.is_rush())
    }

    /// Waits until the rush is over, for a second at most.
    pub(crate) async fn passes(&self, clock: &dyn Clock, end: &CancellationToken) {
        let until = clock.monotonic() + PATIENCE;
        while self.is_on(clock.monotonic()) && clock.monotonic() < until {
            tokio::select! {
                () = clock.sleep(QUIET) => {}
                () = end.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ManualClock;

    const MS: Duration = Duration::from_millis(1);

    /// Whether there is a rush when as many submissions of as many essays have come with this pause in between.
    fn is_rush(submissions: u32, essays: usize, pause: Duration) -> bool {
        let rush = Rush::default();
        let mut now = Duration::from_secs(9);
        for _ in 0..submissions {
            now += pause;
            rush.arrived(essays, now);
        }
        rush.is_on(now)
    }

    #[test]
    fn a_rush_is_many_essays_of_several_callers_within_a_moment() {
        assert!(is_rush(20, 30, 10 * MS));
        assert!(is_rush(200, 1, MS / 2), "single essays, 2,000 a second");
        assert!(!is_rush(1, 2_000, MS), "one class, however large");
        assert!(!is_rush(100, 1, 10 * MS), "single essays one after the other");
        assert!(!is_rush(20, 30, 60 * MS), "classes now and then");
    }

    #[test]
    fn a_rush_is_over_as_soon_as_callers_pause() {
        let rush = Rush::default();
        (0..45_u32).for_each(|n| rush.arrived(30, MS * n));
        rush.arrived(30, 51 * MS);
        assert!(rush.is_on(60 * MS), "the last window was one");
        assert!(!rush.is_on(80 * MS));
    }

    #[tokio::test]
    async fn whoever_lets_a_rush_pass_waits_for_a_second_at_most() {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let rush = Rush::default();
        let end = CancellationToken::new();
        rush.passes(&clock, &end).await;
        let arrive = || (0..20).for_each(|_| rush.arrived(30, clock.monotonic()));
        arrive();
        let callers = async {
            loop {
                clock.advance(WINDOW);
                arrive();
                tokio::task::yield_now().await;
            }
        };
        let began = clock.monotonic();
        tokio::select! {
            () = rush.passes(&clock, &end) => {}
            () = callers => {}
        }
        let waited = clock.monotonic().saturating_sub(began);
        assert!(waited >= PATIENCE && waited < PATIENCE * 2, "{waited:?}");
    }
}
