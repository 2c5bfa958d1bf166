//! The history: every request and its answer, recorded by the clients.
//!
//! One JSON object per line. The line of a write is on disk before the request is sent, and again before its
//! answer is used, so the file knows at least as much as every client. A request without an answer is `info`:
//! it may have been executed or not.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Serialize;
use uuid::Uuid;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// A class was submitted.
    SubmitClass,
    /// A single essay was submitted.
    SubmitEssay,
    /// An invalid body was submitted, which must be refused.
    SubmitInvalid,
    /// A body was submitted under the key of another one, which must be refused.
    SubmitUnderUsedKey,
    /// The status of a batch was read.
    ReadBatch,
    /// An essay was read.
    ReadEssay,
    /// The process was killed.
    Kill,
    /// The process ended at a crash point, which is the note.
    Crash,
    /// A fault of a dependency, whose name is the note; it ends when the fault is over.
    Fault,
    /// The process was started; it ends when it is ready.
    Start,
    /// The faults are over; it ends when everything acknowledged has ended, or after the time for that.
    Converge,
}

impl Op {
    /// Whether it is a write.
    pub(crate) const fn is_write(self) -> bool {
        matches!(self, Self::SubmitClass | Self::SubmitEssay | Self::SubmitInvalid | Self::SubmitUnderUsedKey)
    }
}

/// What is known of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// In progress.
    Begun,
    /// It was executed.
    Ok,
    /// It was not executed: refused for good, or never sent.
    Fail,
    /// Unknown: no answer, or one that does not tell.
    Info,
}

/// The state of a batch or a single essay in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) run: i64,
    pub(crate) revision: i64,
    pub(crate) status: String,
    /// Each total with the sum of its counts: the essays, then each phase. Empty for an essay.
    pub(crate) counts: Vec<(i64, i64)>,
}

/// What is recorded about a call besides its times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    /// The Idempotency-Key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The hash of the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_hash: Option<String>,
    /// The prefix of the `client_ref` of every essay in the body, and of no other essay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// Essays in the body.
    pub(crate) essays: usize,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The batch or the single essay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Uuid>,
    /// The hash of the answer's body, for an accepted write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer_hash: Option<String>,
    /// The service marked the answer as a replay.
    pub(crate) replayed: bool,
    /// The state of the batch or essay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Seen>,
    /// The body of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// A note, such as the name of a crash point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// A call, from its begin to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Microseconds since the history was opened.
    pub(crate) began_us: u64,
    /// `None`: it has not ended.
    pub(crate) ended_us: Option<u64>,
    pub(crate) worker: usize,
    pub(crate) op: Op,
    pub(crate) outcome: Outcome,
    pub(crate) facts: Facts,
}

impl Call {
    /// Whether it had ended before the other began.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.ended_us.is_some_and(|ended| ended <= other.began_us)
    }

    /// Whether it began and ended while the other was under way.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let ends = self.ended_us.zip(other.ended_us);
        other.began_us <= self.began_us && ends.is_some_and(|(own, others)| own <= others)
    }

    /// Whether it was in progress when the other began.
    pub(crate) fn is_open_at(&self, other: &Self) -> bool {
        self.began_us < other.began_us && !self.is_before(other)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    t_mono_us: u64,
    call: u64,
    worker: usize,
    op: Op,
    outcome: Outcome,
    #[serde(flatten)]
    facts: &'a Facts,
}

/// The number of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(u64);

/// The history of a run; workers share it.
pub(crate) struct History {
    opened: Instant,
    next: AtomicU64,
    kept: Mutex<Kept>,
}

struct Kept {
    file: File,
    calls: BTreeMap<CallId, Call>,
}

impl History {
    /// An empty history in a new file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).with_context(|| format!("making {}", path.display()))?;
        let kept = Mutex::new(Kept { file, calls: BTreeMap::new() });
        Ok(Self { opened: Instant::now(), next: AtomicU64::new(1), kept })
    }

    /// Records the begin of a call. The line of a write is on disk when this returns.
    pub(crate) fn begin(&self, worker: usize, op: Op, facts: Facts) -> Result<CallId> {
        let id = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let call = Call { began_us: 0, ended_us: None, worker, op, outcome: Outcome::Begun, facts };
        self.keep(id, call, |call, now| call.began_us = now)?;
        Ok(id)
    }

    /// Records the end of a call. The line of a write is on disk when this returns.
    pub(crate) fn end(&self, id: CallId, outcome: Outcome, facts: Facts) -> Result<()> {
        let begun = self.lock().calls.get(&id).cloned().context("the history has no such call")?;
        self.keep(id, Call { outcome, facts, ..begun }, |call, now| call.ended_us = Some(now))
    }

    /// The time since it was opened.
    pub(crate) fn elapsed(&self) -> Duration {
        self.opened.elapsed()
    }

    /// That time in whole seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.elapsed().as_secs()
    }

    /// The begin of the last such call, since the history was opened.
    pub(crate) fn last(&self, wanted: impl Fn(&Call) -> bool) -> Option<Duration> {
        let kept = self.lock();
        let call = kept.calls.values().rev().find(|call| wanted(call))?;
        Some(Duration::from_micros(call.began_us))
    }

    /// Every call, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.values().cloned().collect()
    }

    fn keep(&self, id: CallId, mut call: Call, stamp: impl FnOnce(&mut Call, u64)) -> Result<()> {
        let mut kept = self.lock();
        let now = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        stamp(&mut call, now);
        let Call { worker, op, outcome, .. } = call;
        let line = Line { t_mono_us: now, call: id.0, worker, op, outcome, facts: &call.facts };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        kept.file.write_all(&bytes).context("writing the history")?;
        if op.is_write() {
            kept.file.sync_data().context("writing the history")?;
        }
        kept.calls.insert(id, call);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_on_the_disk_when_it_begins_and_again_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let history = History::create(&path).unwrap();
        let facts = Facts { key: Some("k".to_owned()), essays: 2, ..Facts::default() };
        let id = history.begin(3, Op::SubmitClass, facts.clone()).unwrap();
        let begun = std::fs::read_to_string(&path).unwrap();
        assert!(
            begun.contains(r#""worker":3,"op":"submit_class","outcome":"begun","key":"k","essays":2"#),
            "{begun}"
        );
        history.end(id, Outcome::Info, facts).unwrap();
        let ended = std::fs::read_to_string(&path).unwrap();
        assert_eq!(ended.lines().count(), 2);
        assert!(ended.contains(r#""outcome":"info""#), "{ended}");
        let calls = history.calls();
        assert_eq!((calls.len(), calls[0].outcome), (1, Outcome::Info));
        assert!(calls[0].ended_us.unwrap() >= calls[0].began_us);
    }
}
