//! The clients of a run, and the final reading of everything that was acknowledged.

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

/// Number of threads that submit, and number of threads that read.
const WORKERS: usize = 4;
const READERS: usize = 2;

const POLL: Duration = Duration::from_millis(20);

/// Does `work` while the clients run. `work` gets a function that tells whether every submission has its
/// answer.
pub(crate) fn with_clients<T>(
    run: &Run,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
) -> Result<(T, Watched)> {
    thread::scope(|threads| {
        let watchers: Vec<_> =
            run.replicas.iter().map(|replica| threads.spawn(move || watch(run, replica))).collect();
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| threads.spawn(move || run.submit_all(worker))).collect();
        let readers = WORKERS..WORKERS + READERS;
        let readers: Vec<_> = readers.map(|worker| threads.spawn(move || run.read_all(worker))).collect();
        let done = work(&|| workers.iter().all(ScopedJoinHandle::is_finished));
        run.enough.store(true, Ordering::Relaxed);
        run.over.store(true, Ordering::Relaxed);
        for client in workers.into_iter().chain(readers) {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        let mut watched = Watched::default();
        for watcher in watchers {
            watched.add(watcher.join().map_err(|_| anyhow!("a watcher panicked"))?);
        }
        Ok((done?, watched))
    })
}

/// Ends the submissions, waits at most `time` until everything is answered and has ended, and reads
/// everything once more.
pub(crate) fn converge(run: &Run, time: Duration, is_all_submitted: &dyn Fn() -> bool) -> Result<()> {
    run.enough.store(true, Ordering::Relaxed);
    let converge = run.history.begin(WORKER, Op::Converge, Facts::default())?;
    let outcome = if ends(run, time, is_all_submitted)? { Outcome::Ok } else { Outcome::Info };
    run.history.end(converge, outcome, Facts::default())?;
    let mut client = run.client();
    for target in run.acknowledged() {
        run.read(WORKER, &mut client, target)?;
    }
    run.over.store(true, Ordering::Relaxed);
    Ok(())
}

/// Waits until everything is answered and everything acknowledged has ended, at most `time`.
fn ends(run: &Run, time: Duration, is_all_submitted: &dyn Fn() -> bool) -> Result<bool> {
    let begun = Instant::now();
    while !is_all_submitted() && begun.elapsed() < time {
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
