//! Splits news into units of work: which pieces share a transaction.

use domain::BatchId;

/// Messages in one unit, at most, unless they are all about one batch. Chosen so that the COMMIT is a small part of the cost of
/// each message and a unit stays short.
const MESSAGES: usize = 200;
/// Batches in one unit, at most: the first message about a batch costs several times as much as a further one.
const BATCHES: usize = 50;

/// A value with its number among those that were passed together, from 0.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T> {
    pub(super) number: usize,
    pub(super) value: T,
}

/// Splits items into units, of which `at_once` may run at the same time.
///
/// All items about one batch are in one unit, next to each other and in order, so that no two units need the same row. Within a
/// unit, and from unit to unit, the ids of the batches ascend.
pub(super) fn split<T>(
    items: Vec<T>,
    batch: impl Fn(&T) -> BatchId,
    at_once: usize,
) -> Vec<Vec<Numbered<T>>> {
    let mut items: Vec<Numbered<T>> =
        items.into_iter().enumerate().map(|(number, value)| Numbered { number, value }).collect();
    // A stable sort: what is about one batch stays in order.
    items.sort_by_key(|item| batch(&item.value));
    let sizes: Vec<usize> =
        items.chunk_by(|a, b| batch(&a.value) == batch(&b.value)).map(<[Numbered<T>]>::len).collect();
    let most = sizes.len().div_ceil(at_once.max(1)).clamp(1, BATCHES);
    let mut units: Vec<Vec<Numbered<T>>> = Vec::new();
    let mut in_last = 0;
    let mut items = items.into_iter();
    for size in sizes {
        let group = items.by_ref().take(size);
        match units.last_mut() {
            Some(unit) if in_last < most && unit.len() + size <= MESSAGES => {
                in_last += 1;
                unit.extend(group);
            }
            _ => {
                in_last = 1;
                units.push(group.collect());
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

    fn numbers(news: Vec<BatchId>, at_once: usize) -> Vec<Vec<usize>> {
        let units = split(news, |batch| *batch, at_once);
        units.into_iter().map(|unit| unit.into_iter().map(|item| item.number).collect()).collect()
    }

    fn sizes(batches: u64, messages: usize, at_once: usize) -> Vec<usize> {
        let news = (0..messages).flat_map(|_| (0..batches).map(batch)).collect();
        numbers(news, at_once).iter().map(Vec::len).collect()
    }

    #[test]
    fn news_of_one_batch_stays_together_and_in_order() {
        let news = vec![batch(1), batch(2), batch(1), batch(2), batch(1)];
        assert_eq!(numbers(news, 2), [vec![0, 2, 4], vec![1, 3]]);
    }

    #[test]
    fn units_are_small_and_at_least_one_for_each_that_runs_at_once() {
        assert_eq!(sizes(8, 5, 4), [10; 4], "eight batches for four");
        assert_eq!(sizes(8, 5, 1), [40]);
        assert_eq!(sizes(60, 1, 1), [50, 10], "as many batches as a unit takes");
        assert_eq!(sizes(3, 150, 1), [150; 3], "as many messages as a unit takes");
        assert_eq!(sizes(1, 500, 4), [500], "a batch is never divided");
        assert_eq!(sizes(0, 0, 4), [0; 0]);
    }
}
