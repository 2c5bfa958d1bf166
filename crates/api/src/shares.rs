//! A limit per key: how many of something each peer or caller may have at the same time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what each key holds, up to one limit for every key. Clones share the counts.
///
/// A key that holds nothing takes no memory, so unknown keys cannot fill it.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    limit: NonZeroU32,
    held: Arc<Mutex<HashMap<K, u32>>>,
}

/// One unit that a key holds, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    key: K,
    held: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, held: Arc::clone(&self.held) }
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// No key holds anything yet.
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// The most that one key may hold.
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    /// One more unit for the key; `None` if it holds as many as the limit allows.
    pub(crate) fn take(&self, key: K) -> Option<Share<K>> {
        match lock(&self.held).entry(key.clone()) {
            Entry::Occupied(held) if *held.get() >= self.limit.get() => return None,
            Entry::Occupied(mut held) => *held.get_mut() += 1,
            Entry::Vacant(none) => {
                none.insert(1);
            }
        }
        Some(Share { key, held: Arc::clone(&self.held) })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut all = lock(&self.held);
        let left = all.get_mut(&self.key).map(|held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == Some(0) {
            all.remove(&self.key);
        }
    }
}

/// Locks the counts; they are consistent even after a panic of the holder.
fn lock<K>(held: &Mutex<HashMap<K, u32>>) -> MutexGuard<'_, HashMap<K, u32>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{NonZeroU32, Shares, lock};

    #[test]
    fn each_key_gets_up_to_the_limit_and_one_key_takes_nothing_from_another() {
        let shares = Shares::new(NonZeroU32::new(2).unwrap());
        let held = (shares.take("ann").unwrap(), shares.take("ann").unwrap());
        assert!(shares.take("ann").is_none());
        assert!(shares.take("bob").is_some());
        drop(held);
        assert!(shares.take("ann").is_some());
    }

    #[test]
    fn a_key_that_holds_nothing_takes_no_memory() {
        let shares = Shares::new(NonZeroU32::MIN);
        for key in 0..1_000 {
            drop(shares.take(key).unwrap());
        }
        assert_eq!(lock(&shares.held).len(), 0);
    }
}
