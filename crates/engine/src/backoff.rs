//! The pause after a failure.

use std::time::Duration;

/// The pause after a failure that `failures` went before: drawn at random up to `first` doubled that often, at most `longest`,
/// so that replicas do not come back in step. Never nothing.
pub(crate) fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    let bound = first.saturating_mul(1 << failures.min(16)).min(longest);
    let part = getrandom::u32().map_or(1023, |n| n % 1024);
    bound.mul_f64(f64::from(1 + part) / 1024.0).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_drawn_below_a_bound_that_doubles_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_mins(1));
        for (failures, bound) in [(0, 1), (1, 2), (5, 32), (6, 60), (u32::MAX, 60)] {
            let draws: Vec<_> = (0..200).map(|_| backoff(first, longest, failures)).collect();
            let bound = Duration::from_secs(bound);
            assert!(draws.iter().all(|pause| !pause.is_zero() && *pause <= bound), "{failures}: {draws:?}");
            assert!(draws.iter().any(|pause| *pause < bound / 2), "the whole range is drawn from");
            assert!(draws.iter().any(|pause| *pause > bound / 2), "the whole range is drawn from");
        }
    }
}
