//! A run of the embedded mode.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::{
    check::{Evidence, check},
    clients::{converge, with_clients},
    database::Database,
    history::History,
    load::{Pace, Run},
    nemesis::{Done, Nemesis, ready, start},
    report::{Report, Row},
    server::{Installation, STOP_DEADLINE},
    watch::Watched,
};

/// Time for everything to be answered and to end after the last fault (chosen).
const CONVERGENCE: Duration = Duration::from_secs(90);

const PACE: Pace = Pace { submit: 5..60, read: 2..12 };

/// The parameters of a run.
pub(crate) struct Story {
    pub(crate) bos: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) seed: u64,
}

impl Story {
    /// Makes the run, with faults for `time`.
    pub(crate) fn tell(&self, time: Duration) -> Result<Report> {
        let history = History::create(&self.out.join("history.jsonl"))?;
        let installation =
            Installation::new(self.bos.clone(), self.out.join("data"), self.out.join("service.log"))?;
        let run = Run::new(self.seed, history, &[installation.address], PACE);
        let (done, watched) = with_clients(&run, |is_all_submitted| {
            run_with_faults(&run, &installation, time, is_all_submitted)
        })?;
        self.judge(&run, &installation, &done, watched)
    }

    fn judge(
        &self,
        run: &Run,
        installation: &Installation,
        done: &Done,
        mut watched: Watched,
    ) -> Result<Report> {
        let database = Database::read(&installation.database(), &run.canary)?;
        let calls = run.history.calls();
        let mut sightings = std::mem::take(&mut watched.sightings);
        sightings.extend(database.sightings.iter().cloned());
        sightings.extend(run.canary.sightings("the log", &installation.log()?));
        let problems: Vec<_> = calls.iter().filter_map(|call| call.facts.problem.as_deref()).collect();
        for problem in &problems {
            sightings.extend(run.canary.sightings("an error's body", problem.as_bytes()));
        }
        let searched = database.searched + watched.readings + problems.len() + 1;
        let evidence = Evidence {
            calls: &calls,
            database: &database,
            sightings: &sightings,
            searched,
            poison: done.poison,
        };
        let mut rows = Row::of_load(&calls, watched.duplicates());
        rows.extend(done.rows());
        Ok(Report::new("embedded", self.seed, &calls, rows, check(evidence)))
    }
}

/// Starts the service, kills it for `time`, starts it again without faults, waits until everything has ended,
/// and reads it.
fn run_with_faults(
    run: &Run,
    installation: &Installation,
    time: Duration,
    is_all_submitted: &dyn Fn() -> bool,
) -> Result<Done> {
    let mut server = start(run, installation, None)?;
    if let Some(death) = ready(run, &mut server)? {
        bail!("the service did not start: {death:?}; see service.log");
    }
    let done = Nemesis::new(run, installation).run(server, time)?;
    let mut server = start(run, installation, None)?;
    if let Some(death) = ready(run, &mut server)? {
        bail!("the service did not start after the faults: {death:?}; see service.log");
    }
    converge(run, CONVERGENCE, is_all_submitted)?;
    server.stop(STOP_DEADLINE)?;
    Ok(done)
}
