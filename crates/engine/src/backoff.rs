//! Exponential back-off with full jitter.

use std::time::Duration;

use crate::ports::Clock;

/// The pause after a failure, where `failures` is the number of failures before it.
///
/// It is random between 1 ms and a bound, so that replicas do not retry in step. The bound starts at `first`, doubles with each
/// failure, and is at most `longest`.
pub(crate) fn backoff(clock: &dyn Clock, first: Duration, longest: Duration, failures: u32) -> Duration {
    let bound = first.saturating_mul(1 << failures.min(16)).min(longest);
    bound.mul_f64(clock.jitter()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemClock;

    #[test]
    fn a_pause_is_random_below_a_bound_that_doubles_up_to_the_longest() {
        let clock = SystemClock::default();
        let (first, longest) = (Duration::from_secs(1), Duration::from_mins(1));
        for (failures, bound) in [(0, 1), (1, 2), (5, 32), (6, 60), (u32::MAX, 60)] {
            let draws: Vec<_> = (0..200).map(|_| backoff(&clock, first, longest, failures)).collect();
            let bound = Duration::from_secs(bound);
            assert!(draws.iter().all(|pause| !pause.is_zero() && *pause <= bound), "{failures}: {draws:?}");
            assert!(draws.iter().any(|pause| *pause < bound / 2), "the whole range is drawn from");
            assert!(draws.iter().any(|pause| *pause > bound / 2), "the whole range is drawn from");
        }
    }
}
