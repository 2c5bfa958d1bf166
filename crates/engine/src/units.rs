//! Which pieces of news share a transaction.

use std::collections::BTreeMap;

use domain::BatchId;

/// Messages whose news share a transaction, at most, unless they are about one batch: so many that the COMMIT is cheap for
/// each, so few that nobody waits.
const MESSAGES: usize = 200;
/// Batches that share one, at most: a batch costs several times what a further message about it does.
const BATCHES: usize = 50;

/// The places of the news in each unit, when so many units may be at work at once. All that is about a batch is in one unit,
/// in order; so units may run side by side, and neither waits for a row that the other has locked.
pub(crate) fn of(batches: impl Iterator<Item = BatchId>, at_once: usize) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<BatchId, Vec<usize>> = BTreeMap::new();
    for (place, batch) in batches.enumerate() {
        groups.entry(batch).or_default().push(place);
    }
    let most = groups.len().div_ceil(at_once.max(1)).clamp(1, BATCHES);
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut in_last = 0;
    for group in groups.into_values() {
        match units.last_mut() {
            Some(unit) if in_last < most && unit.len() + group.len() <= MESSAGES => {
                in_last += 1;
                unit.extend(group);
            }
            _ => {
                in_last = 1;
                units.push(group);
            }
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use domain::Slot;

    use super::*;

    fn batch(number: u64) -> BatchId {
        BatchId::new(chrono::DateTime::UNIX_EPOCH, Slot::new(0), number)
    }

    fn of_each(batches: u64, messages: usize, at_once: usize) -> Vec<usize> {
        let news = (0..messages).flat_map(|_| (0..batches).map(batch));
        of(news, at_once).iter().map(Vec::len).collect()
    }

    #[test]
    fn what_is_about_one_batch_stays_together_and_in_order() {
        let news = [batch(1), batch(2), batch(1), batch(2), batch(1)];
        assert_eq!(of(news.into_iter(), 2), [vec![0, 2, 4], vec![1, 3]]);
    }

    #[test]
    fn a_unit_is_small_and_there_is_one_for_each_worker_at_least() {
        assert_eq!(of_each(8, 5, 4), [10; 4], "eight batches for four");
        assert_eq!(of_each(8, 5, 1), [40]);
        assert_eq!(of_each(60, 1, 1), [50, 10], "as many batches as a unit takes");
        assert_eq!(of_each(3, 150, 1), [150; 3], "as many messages as a unit takes");
        assert_eq!(of_each(1, 500, 4), [500], "a batch is never divided");
        assert_eq!(of_each(0, 0, 4), [0; 0]);
    }
}
