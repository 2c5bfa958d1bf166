//! Everybody who uses the service during a run, and the end, when all that was acknowledged is read once more.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use uuid::Uuid;

use crate::{
    check::has_ended,
    history::{Facts, Op, Outcome},
    load::{Run, Target},
    nemesis::WORKER,
    watch::{Watched, watch},
};

/// Threads that hand in, and threads that look.
const WORKERS: usize = 4;
const LOOKERS: usize = 2;

const POLL: Duration = Duration::from_millis(20);

/// Does `work` while everybody uses the service. It is told how to ask whether everything handed in has its answer.
pub(crate) fn with_clients<T>(
    run: &Run,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
) -> Result<(T, Watched)> {
    thread::scope(|threads| {
        let watchers: Vec<_> =
            run.replicas.iter().map(|replica| threads.spawn(move || watch(run, replica))).collect();
        let workers: Vec<_> = (0..WORKERS).map(|worker| threads.spawn(move || run.hand_in(worker))).collect();
        let lookers = WORKERS..WORKERS + LOOKERS;
        let lookers: Vec<_> = lookers.map(|worker| threads.spawn(move || run.look(worker))).collect();
        let done = work(&|| workers.iter().all(ScopedJoinHandle::is_finished));
        run.enough.store(true, Ordering::Relaxed);
        run.over.store(true, Ordering::Relaxed);
        for client in workers.into_iter().chain(lookers) {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        let mut watched = Watched::default();
        for watcher in watchers {
            watched.add(watcher.join().map_err(|_| anyhow!("a watcher panicked"))?);
        }
        Ok((done?, watched))
    })
}

/// Takes no more submissions, waits at most `time` until everything is answered and has ended, and reads it all once more.
pub(crate) fn converge(run: &Run, time: Duration, is_all_handed_in: &dyn Fn() -> bool) -> Result<()> {
    run.enough.store(true, Ordering::Relaxed);
    let converge = run.history.begin(WORKER, Op::Converge, Facts::default())?;
    let outcome = if ends(run, time, is_all_handed_in)? { Outcome::Ok } else { Outcome::Info };
    run.history.end(converge, outcome, Facts::default())?;
    let mut client = run.client();
    for target in run.acknowledged() {
        run.read(WORKER, &mut client, target)?;
    }
    run.over.store(true, Ordering::Relaxed);
    Ok(())
}

/// Waits until everything is answered and everything acknowledged has ended, or the time for that is over.
fn ends(run: &Run, time: Duration, is_all_handed_in: &dyn Fn() -> bool) -> Result<bool> {
    let begun = Instant::now();
    while !is_all_handed_in() && begun.elapsed() < time {
        thread::sleep(POLL);
    }
    let mut client = run.client();
    let mut open: BTreeMap<Uuid, Target> =
        run.acknowledged().into_iter().map(|target| (target.id, target)).collect();
    while begun.elapsed() < time {
        for target in open.values().copied().collect::<Vec<_>>() {
            let seen = run.read(WORKER, &mut client, target)?;
            if !seen.is_some_and(|seen| has_ended(&seen)) {
                break;
            }
            open.remove(&target.id);
        }
        if open.is_empty() {
            return Ok(true);
        }
        thread::sleep(POLL);
    }
    Ok(false)
}
