//! Watches the service's sessions: none may sit in an open transaction (I14).

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Result;

use super::{
    database::{Idle, Observer},
    nemesis::Calm,
};
use crate::check::Finding;

/// How often it looks. What is seen twice in a row is no accident of a busy machine.
const PERIOD: Duration = Duration::from_millis(500);
/// So long after a fault that froze somebody, an open transaction is the service's own.
const CALM: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    looks: usize,
    stuck: Vec<Idle>,
}

impl Sessions {
    /// I14.
    pub(crate) fn finding(&self) -> Finding {
        let stuck = self.stuck.iter().map(|idle| {
            format!(
                "session {} sat in the transaction of {} after: {}",
                idle.session.0, idle.session.1, idle.statement
            )
        });
        Finding {
            id: "I14",
            title: "no session sits in an open transaction",
            checked: self.looks,
            unit: "looks",
            violations: stuck.collect(),
        }
    }
}

/// Looks until it is over. Looks while somebody is frozen or cut off say nothing and do not count.
pub(crate) fn watch(url: &str, calm: &Calm, over: &AtomicBool) -> Result<Sessions> {
    let observer = Observer::new(url.to_owned())?;
    let mut sessions = Sessions::default();
    let mut before: BTreeSet<(i32, String)> = BTreeSet::new();
    while !over.load(Ordering::SeqCst) {
        thread::sleep(PERIOD);
        // A database that is away has no sessions.
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
