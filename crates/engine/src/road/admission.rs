//! Admission control: new work is refused while the staged texts or the outbox are over their caps.
//!
//! The depths are read from the tables about once a second ([`crate::tasks::backlog`]). Accepted texts are added in between, so
//! that accepting an essay needs no count.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::error::Error;

/// The approximate depths of the queues, and their caps.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    staged_bytes: AtomicI64,
    outbox_rows: AtomicI64,
    staged_cap: i64,
    outbox_cap: i64,
    resume_percent: i64,
    is_full: AtomicBool,
}

impl AdmissionControl {
    pub(super) fn new(staged_cap: u64, outbox_cap: u64, resume_percent: u16) -> Self {
        let cap = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self {
            staged_bytes: AtomicI64::new(0),
            outbox_rows: AtomicI64::new(0),
            staged_cap: cap(staged_cap),
            outbox_cap: cap(outbox_cap),
            resume_percent: i64::from(resume_percent),
            is_full: AtomicBool::new(false),
        }
    }

    /// Admits texts of this many bytes, or refuses them while a queue is over its cap. After a refusal, texts are admitted again
    /// once the depths are down to `resume_percent` of the caps.
    pub(super) fn admit(&self, bytes: usize) -> Result<(), Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let staged = self.staged_bytes.load(Ordering::Relaxed).saturating_add(bytes);
        let outbox = self.outbox_rows.load(Ordering::Relaxed);
        let is_full = self.is_full.load(Ordering::Relaxed);
        // Divided before it is multiplied, because a cap may be close to `i64::MAX`.
        let resume = |cap: i64| cap / 100 * self.resume_percent + cap % 100 * self.resume_percent / 100;
        let over = |depth: i64, cap: i64| depth > if is_full { resume(cap) } else { cap };
        let what = if over(staged, self.staged_cap) {
            Some("staged texts")
        } else if over(outbox, self.outbox_cap) {
            Some("outbox rows")
        } else {
            None
        };
        self.is_full.store(what.is_some(), Ordering::Relaxed);
        what.map_or(Ok(()), |what| Err(Error::BacklogFull { what }))
    }

    /// Adds texts that were staged since the depths were read.
    pub(super) fn add_staged(&self, bytes: usize) {
        self.staged_bytes.fetch_add(i64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    /// Replaces the depths by what the tables say.
    pub(crate) fn set_depths(&self, staged_bytes: i64, outbox_rows: i64) {
        self.staged_bytes.store(staged_bytes, Ordering::Relaxed);
        self.outbox_rows.store(outbox_rows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_backlog_refuses_until_it_has_fallen_to_the_percentage() {
        let backlog = AdmissionControl::new(100, 10, 60);
        assert!(backlog.admit(100).is_ok());
        backlog.set_depths(100, 0);
        assert!(matches!(backlog.admit(1), Err(Error::BacklogFull { what: "staged texts" })));
        backlog.set_depths(61, 0);
        assert!(backlog.admit(0).is_err(), "61 of 100 is still too much once it was full");
        backlog.set_depths(60, 0);
        assert!(backlog.admit(0).is_ok());
        backlog.set_depths(0, 11);
        assert!(matches!(backlog.admit(0), Err(Error::BacklogFull { what: "outbox rows" })));
    }
}
