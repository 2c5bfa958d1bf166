//! Where in its table a task starts to read.

use std::collections::HashMap;
use std::time::Duration;

use store::LowWaterMark;

/// The low-water marks of the shards: per shard, the key below which no row waits.
///
/// They keep a read from scanning rows that are deleted and not yet vacuumed. A transaction that is open anywhere on the server, in
/// another database too, pins such rows for as long as it lasts (decision 15).
///
/// A mark is a hint. A row with a smaller key may appear later, because its transaction began before, or because the clock that made
/// the key is slow. So the marks are forgotten after each period: such a row waits for at most one.
#[derive(Debug)]
pub(super) struct LowWaterMarks<K> {
    low: HashMap<i64, K>,
    period: Duration,
    forgotten_at: Option<Duration>,
}

impl<K: Copy + Default> LowWaterMarks<K> {
    /// No marks yet. They are forgotten after each `period`.
    pub(super) fn new(period: Duration) -> Self {
        Self { low: HashMap::new(), period, forgotten_at: None }
    }

    /// Forgets the marks if a period has passed, by the monotonic time `now`. Returns whether it did; the first call does.
    pub(super) fn forget_if_due(&mut self, now: Duration) -> bool {
        let is_due = self.forgotten_at.is_none_or(|at| now >= at + self.period);
        if is_due {
            self.forgotten_at = Some(now);
            self.low.clear();
        }
        is_due
    }

    /// The marks of these shards, in this order; the smallest key for shards without one.
    pub(super) fn of(&self, shards: Vec<i64>) -> Vec<LowWaterMark<K>> {
        let low = |shard| self.low.get(&shard).copied().unwrap_or_default();
        shards.into_iter().map(|shard| LowWaterMark { shard, low: low(shard) }).collect()
    }

    /// Sets marks.
    pub(super) fn set(&mut self, marks: impl IntoIterator<Item = LowWaterMark<K>>) {
        self.low.extend(marks.into_iter().map(|mark| (mark.shard, mark.low)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn marks_are_kept_for_a_period_and_then_forgotten() {
        let mut marks = LowWaterMarks::<i64>::new(2 * SECOND);
        assert!(marks.forget_if_due(Duration::ZERO));
        marks.set([LowWaterMark { shard: 1, low: 7 }]);
        assert!(!marks.forget_if_due(SECOND));
        let low =
            |marks: &LowWaterMarks<i64>| marks.of(vec![2, 1]).iter().map(|mark| mark.low).collect::<Vec<_>>();
        assert_eq!(low(&marks), [0, 7]);
        assert!(marks.forget_if_due(2 * SECOND));
        assert_eq!(low(&marks), [0, 0]);
        assert!(!marks.forget_if_due(3 * SECOND));
    }
}
