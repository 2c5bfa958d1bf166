//! Watches the service's sessions: none may be idle in a transaction (I14).

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Result;
use invariants::{Evaluation, Finding, Invariant};

use super::{
    database::{Idle, Observer},
    nemesis::Calm,
};

/// The period of reading. A session that is idle in a transaction twice in a row is not an effect of a busy
/// machine.
const PERIOD: Duration = Duration::from_millis(500);
/// The time after a fault that suspends processes from which on an idle transaction is the service's own.
const CALM: Duration = Duration::from_secs(2);

/// The evidence of I14.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    looks: usize,
    stuck: Vec<Idle>,
}

impl Sessions {
    /// Evaluates I14.
    pub(crate) fn evaluation(&self) -> Evaluation {
        let stuck = self.stuck.iter().map(|idle| {
            let (session, since) = &idle.session;
            let what = format!("it was idle in the transaction of {since} after: {}", idle.statement);
            Finding::new(Invariant::I14, format!("session {session}"), what)
        });
        Evaluation::new(Invariant::I14, self.looks, "looks", stuck.collect())
    }
}

/// Reads the sessions until `over`. Readings during a fault that suspends processes or connections do not
/// count.
pub(crate) fn watch(url: &str, calm: &Calm, over: &AtomicBool) -> Result<Sessions> {
    let observer = Observer::new(url.to_owned())?;
    let mut sessions = Sessions::default();
    let mut before: BTreeSet<(i32, String)> = BTreeSet::new();
    while !over.load(Ordering::SeqCst) {
        thread::sleep(PERIOD);
        // A database that does not answer has no sessions.
        let idle = if calm.lasts(CALM) { observer.idle().ok() } else { None };
        let Some(idle) = idle else {
            before.clear();
            continue;
        };
        sessions.looks += 1;
        let again = idle.iter().filter(|idle| before.contains(&idle.session));
        let new = again.filter(|idle| sessions.stuck.iter().all(|known| known.session != idle.session));
        let new: Vec<Idle> = new.cloned().collect();
        sessions.stuck.extend(new);
        before = idle.into_iter().map(|idle| idle.session).collect();
    }
    Ok(sessions)
}
