//! Under a burst of submissions, ingest yields to the accept path.
//!
//! On a machine that runs the database as well, storing the texts of one class costs as much processor time as accepting several
//! classes. When ingest waits, the burst is accepted sooner. No essay is finished later for it, because without the wait the
//! submissions would queue in front of the accept path.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ports::Clock;

/// The window over which submissions and essays are counted.
const WINDOW: Duration = Duration::from_millis(50);
/// The least submissions in a window that make a burst. More than one, so that a single large class is no burst.
const SUBMISSIONS: u32 = 3;
/// The least essays in a window that make a burst: 1,200 per second, several times what the phases can process. Single essays
/// submitted one after the other are no burst.
const ESSAYS: usize = 60;
/// A burst is over when no submission has come for this long. The slowest burst has a submission every 17 ms (3 in 50 ms).
const QUIET: Duration = Duration::from_millis(25);
/// The longest wait of one turn of ingest, so that texts are stored also during a long burst.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Detects bursts of submissions. Every time here is monotonic.
#[derive(Debug, Default)]
pub(crate) struct SubmissionBurst(Mutex<Windows>);

#[derive(Debug, Default, Clone, Copy)]
struct Windows {
    begun: Duration,
    last_arrival: Duration,
    current: Count,
    previous: Count,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    submissions: u32,
    essays: usize,
}

impl Count {
    const fn is_burst(self) -> bool {
        self.submissions >= SUBMISSIONS && self.essays >= ESSAYS
    }
}

impl Windows {
    /// Moves on to the window that contains `now`.
    fn advance(&mut self, now: Duration) -> &mut Self {
        let past = now.saturating_sub(self.begun);
        if past >= WINDOW {
            let previous = if past < WINDOW * 2 { self.current } else { Count::default() };
            *self = Self { begun: now, current: Count::default(), previous, ..*self };
        }
        self
    }
}

impl SubmissionBurst {
    /// Records a submission of this many essays.
    pub(super) fn record(&self, essays: usize, now: Duration) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.advance(now);
        windows.last_arrival = now;
        let count = &mut windows.current;
        count.submissions = count.submissions.saturating_add(1);
        count.essays = count.essays.saturating_add(essays);
    }

    fn is_active(&self, now: Duration) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.advance(now);
        let is_quiet = now.saturating_sub(windows.last_arrival) >= QUIET;
        !is_quiet && (windows.current.is_burst() || windows.previous.is_burst())
    }

    /// Waits until no burst is active or `end`, for a second at most.
    pub(crate) async fn wait_until_over(&self, clock: &dyn Clock, end: &CancellationToken) {
        let until = clock.monotonic() + LONGEST_WAIT;
        while self.is_active(clock.monotonic()) && clock.monotonic() < until {
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

    /// Whether a burst is active after this many submissions of this many essays with this pause in between.
    fn is_burst(submissions: u32, essays: usize, pause: Duration) -> bool {
        let burst = SubmissionBurst::default();
        let mut now = Duration::from_secs(9);
        for _ in 0..submissions {
            now += pause;
            burst.record(essays, now);
        }
        burst.is_active(now)
    }

    #[test]
    fn a_burst_is_many_essays_in_several_submissions_within_a_window() {
        assert!(is_burst(20, 30, 10 * MS));
        assert!(is_burst(200, 1, MS / 2), "single essays, 2,000 a second");
        assert!(!is_burst(1, 2_000, MS), "one class, however large");
        assert!(!is_burst(100, 1, 10 * MS), "single essays one after the other");
        assert!(!is_burst(20, 30, 60 * MS), "classes now and then");
    }

    #[test]
    fn a_burst_is_over_as_soon_as_submissions_pause() {
        let burst = SubmissionBurst::default();
        (0..45_u32).for_each(|n| burst.record(30, MS * n));
        burst.record(30, 51 * MS);
        assert!(burst.is_active(60 * MS), "the previous window was one");
        assert!(!burst.is_active(80 * MS));
    }

    #[tokio::test]
    async fn the_wait_for_the_end_of_a_burst_is_a_second_at_most() {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let burst = SubmissionBurst::default();
        let end = CancellationToken::new();
        burst.wait_until_over(&clock, &end).await;
        let arrive = || (0..20).for_each(|_| burst.record(30, clock.monotonic()));
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
            () = burst.wait_until_over(&clock, &end) => {}
            () = callers => {}
        }
        let waited = clock.monotonic().saturating_sub(began);
        assert!(waited >= LONGEST_WAIT && waited < LONGEST_WAIT * 2, "{waited:?}");
    }
}
