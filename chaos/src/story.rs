//! A run from its beginning to its end.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::Ordering,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use uuid::Uuid;

use crate::{
    canary::Sighting,
    check::{Evidence, check, has_ended},
    database::Database,
    history::{Facts, History, Op, Outcome},
    load::{Run, Target},
    nemesis::{Done, Nemesis, WORKER, ready, start},
    report::Report,
    server::Installation,
    watch::{Watched, watch},
};

/// Threads that hand in, and threads that look.
const WORKERS: usize = 4;
const LOOKERS: usize = 2;

/// How long everything may take to be answered and to end, once nobody does harm any more.
const CONVERGENCE: Duration = Duration::from_secs(90);

const POLL: Duration = Duration::from_millis(20);

/// What a run needs.
pub(crate) struct Story {
    pub(crate) bos: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) seed: u64,
}

impl Story {
    /// Lives through it, with faults for `time`.
    pub(crate) fn tell(&self, time: Duration) -> Result<Report> {
        let history = History::create(&self.out.join("history.jsonl"))?;
        let installation = Installation::new(&self.bos, self.out.join("data"), self.out.join("service.log"))?;
        let run = Run::new(self.seed, history, installation);
        let (done, watched) = thread::scope(|threads| {
            let run = &run;
            let metrics = threads.spawn(|| watch(run));
            let workers: Vec<_> =
                (0..WORKERS).map(|worker| threads.spawn(move || run.hand_in(worker))).collect();
            let lookers = WORKERS..WORKERS + LOOKERS;
            let lookers: Vec<_> = lookers.map(|worker| threads.spawn(move || run.look(worker))).collect();
            let done = suffer_and_heal(run, time, || workers.iter().all(ScopedJoinHandle::is_finished));
            run.enough.store(true, Ordering::Relaxed);
            run.over.store(true, Ordering::Relaxed);
            for client in workers.into_iter().chain(lookers) {
                client.join().map_err(|_| anyhow!("a client panicked"))??;
            }
            let watched = metrics.join().map_err(|_| anyhow!("the watcher panicked"))?;
            anyhow::Ok((done?, watched))
        })?;
        self.judge(&run, &done, watched)
    }

    fn judge(&self, run: &Run, done: &Done, mut watched: Watched) -> Result<Report> {
        let database = Database::read(&run.installation.database(), &run.canary)?;
        let calls = run.history.calls();
        let mut sightings = std::mem::take(&mut watched.sightings);
        sightings.extend(database.sightings.iter().cloned());
        let mut see = |place: &str, bytes: &[u8]| {
            let found = run.canary.found_in(bytes).map(|secret| Sighting { place: place.to_owned(), secret });
            sightings.extend(found.collect::<Vec<_>>());
        };
        let log = run.installation.log()?;
        see("the log", &log);
        let problems: Vec<_> = calls.iter().filter_map(|call| call.facts.problem.as_deref()).collect();
        for problem in &problems {
            see("an error's body", problem.as_bytes());
        }
        let searched = database.searched + watched.readings + problems.len() + 1;
        let evidence = Evidence {
            calls: &calls,
            database: &database,
            sightings: &sightings,
            searched,
            poison: done.poison,
        };
        Ok(Report::new(self.seed, &calls, done, watched.duplicates(), check(evidence)))
    }
}

/// Starts the service, has it killed for `time`, starts it for good, and reads everything once it had time to end.
fn suffer_and_heal(run: &Run, time: Duration, is_all_handed_in: impl Fn() -> bool) -> Result<Done> {
    let mut server = start(run, None)?;
    if let Some(death) = ready(run, &mut server)? {
        bail!("the service did not start: {death:?}; see service.log");
    }
    let done = Nemesis::new(run).rage(server, time)?;
    let mut server = start(run, None)?;
    if let Some(death) = ready(run, &mut server)? {
        bail!("the service did not start again: {death:?}; see service.log");
    }
    run.enough.store(true, Ordering::Relaxed);
    let converge = run.history.begin(WORKER, Op::Converge, Facts::default())?;
    let outcome = if converged(run, is_all_handed_in)? { Outcome::Ok } else { Outcome::Info };
    run.history.end(converge, outcome, Facts::default())?;
    let mut client = run.client();
    for target in run.acknowledged() {
        run.read(WORKER, &mut client, target)?;
    }
    run.over.store(true, Ordering::Relaxed);
    server.stop()?;
    Ok(done)
}

/// Waits until everything is answered and everything acknowledged has ended, or the time for that is over.
fn converged(run: &Run, is_all_handed_in: impl Fn() -> bool) -> Result<bool> {
    let begun = Instant::now();
    while !is_all_handed_in() && begun.elapsed() < CONVERGENCE {
        thread::sleep(POLL);
    }
    let mut client = run.client();
    let mut open: BTreeMap<Uuid, Target> =
        run.acknowledged().into_iter().map(|target| (target.id, target)).collect();
    while begun.elapsed() < CONVERGENCE {
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
