//! Kills the service at times drawn from the seed, and at every crash point, and starts it again on the same data.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    database::{put_overdue_timer, put_poison},
    history::{Facts, Op, Outcome},
    load::Run,
    report::Row,
    server::{Death, Installation, Server},
};

/// This thread's name in the history.
pub(crate) const WORKER: usize = 1_000;

/// The crash points, with the fault that each is, and up to which pass of it a process may live: the work after a start,
/// before which the first passes come, is always the same.
pub(crate) const POINTS: [Point; 10] = [
    Point { name: "before_accept", fault: "before the accept transaction", passes: 20 },
    Point { name: "accepted", fault: "accept committed, nobody answered", passes: 20 },
    Point { name: "text_stored", fault: "text at Content, not yet known here", passes: 10 },
    Point { name: "before_wake", fault: "committed, tasks not woken", passes: 20 },
    Point { name: "before_publish", fault: "relay: nothing published yet", passes: 20 },
    Point { name: "published", fault: "relay: published, not yet noted", passes: 10 },
    Point { name: "polled", fault: "consumer: messages in hand only", passes: 10 },
    Point { name: "consumed", fault: "consumer: committed, position not", passes: 10 },
    Point { name: "set_aside", fault: "dead letter written, position not", passes: 1 },
    Point { name: "timer_fired", fault: "timer due, nothing committed", passes: 1 },
];

/// The point that is passed only when the bus holds something that cannot be read.
pub(crate) const NEEDS_POISON: &str = "set_aside";
/// The point that is passed only when a deadline passes, which on a fast machine none does.
pub(crate) const NEEDS_TIMER: &str = "timer_fired";

/// How long the service lives between faults.
const LIFE_MS: std::ops::Range<u64> = 150..1_500;
/// A run goes on for up to so many times its length until every crash point has had its crash.
const PATIENCE: u32 = 8;
/// How long a process is given to come to the point where it is to crash.
const CRASH_DEADLINE: Duration = Duration::from_secs(4);
/// One in so many rounds is a volley, of so many kills, so soon after each start.
const VOLLEY: u8 = 5;
const VOLLEY_KILLS: std::ops::Range<usize> = 3..6;
const VOLLEY_MS: std::ops::Range<u64> = 10..250;

/// A place in the service where it can be told to crash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// What the crash leaves half done.
    pub(crate) fault: &'static str,
    pub(crate) passes: u32,
}

/// What was done to the service.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// How often the service crashed at each point.
    pub(crate) crashes: BTreeMap<&'static str, usize>,
    /// Records put on the bus that nobody can read.
    pub(crate) poison: usize,
}

impl Done {
    /// The crashes as rows of the report: each point at least once.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        crash_rows(&self.crashes)
    }
}

/// How often the service crashed at each point, as rows of the report.
pub(crate) fn crash_rows(crashes: &BTreeMap<&'static str, usize>) -> impl Iterator<Item = Row> {
    POINTS.iter().map(|point| {
        let times = crashes.get(point.name).copied().unwrap_or_default();
        Row::new(format!("crash at {}", point.name), point.fault, times, 1)
    })
}

/// The one who kills.
pub(crate) struct Nemesis<'r> {
    run: &'r Run,
    installation: &'r Installation,
    random: fastrand::Rng,
    plan: Vec<Point>,
    done: Done,
}

impl<'r> Nemesis<'r> {
    pub(crate) fn new(run: &'r Run, installation: &'r Installation) -> Self {
        let random = fastrand::Rng::with_seed(run.seed ^ 0x4e_65);
        Self { run, installation, random, plan: Vec::new(), done: Done::default() }
    }

    /// Does harm to a ready service for `time`, and for up to [`PATIENCE`] times as long while some crash point has not had
    /// its crash: what a run must show may not depend on how fast the machine is. Leaves the service dead.
    pub(crate) fn rage(mut self, mut server: Server, time: Duration) -> Result<Done> {
        let begun = Instant::now();
        loop {
            let complete = self.done.crashes.len() == POINTS.len();
            if begun.elapsed() >= if complete { time } else { time * PATIENCE } {
                break;
            }
            self.live(LIFE_MS);
            self.kill(&mut server)?;
            if self.random.u8(..VOLLEY) == 0 {
                self.volley()?;
            }
            self.crash()?;
            server = self.start(None)?;
            if let Some(death) = self.ready(&mut server)? {
                bail!("the service ended by itself: {death:?}");
            }
        }
        self.kill(&mut server)?;
        Ok(self.done)
    }

    /// Starts a process and lets it live until it has crashed at the next point of the plan, or has not come there.
    fn crash(&mut self) -> Result<()> {
        let point = self.next_point();
        if point.name == NEEDS_POISON {
            put_poison(&self.installation.database())?;
            self.done.poison += 1;
        }
        if point.name == NEEDS_TIMER {
            put_overdue_timer(&self.installation.database())?;
        }
        let crash_at = format!("{}:{}", point.name, self.random.u32(1..=point.passes));
        let mut server = self.start(Some(&crash_at))?;
        let mut death = self.ready(&mut server)?;
        if death.is_none() {
            death = server.wait(CRASH_DEADLINE)?;
        }
        match death {
            Some(Death::AtCrashPoint) => {
                *self.done.crashes.entry(point.name).or_default() += 1;
                let facts = Facts { note: Some(crash_at), ..Facts::default() };
                let crash = self.run.history.begin(WORKER, Op::Crash, facts.clone())?;
                self.run.history.end(crash, Outcome::Ok, facts)
            }
            Some(death @ (Death::Other(_) | Death::Killed)) => {
                bail!("the service ended by itself: {death:?}")
            }
            None => self.kill(&mut server),
        }
    }

    /// Several kills so soon after each other that no start gets far.
    fn volley(&mut self) -> Result<()> {
        for _ in 0..self.random.usize(VOLLEY_KILLS) {
            let mut server = self.start(None)?;
            self.live(VOLLEY_MS);
            self.kill(&mut server)?;
        }
        Ok(())
    }

    /// Every point once, in an order drawn anew each time.
    fn next_point(&mut self) -> Point {
        if self.plan.is_empty() {
            self.plan = POINTS.to_vec();
            self.random.shuffle(&mut self.plan);
        }
        let [first, ..] = POINTS;
        self.plan.pop().unwrap_or(first)
    }

    fn live(&mut self, milliseconds: std::ops::Range<u64>) {
        thread::sleep(Duration::from_millis(self.random.u64(milliseconds)));
    }

    fn start(&self, crash_at: Option<&str>) -> Result<Server> {
        start(self.run, self.installation, crash_at)
    }

    fn ready(&self, server: &mut Server) -> Result<Option<Death>> {
        ready(self.run, server)
    }

    fn kill(&self, server: &mut Server) -> Result<()> {
        let kill = self.run.history.begin(WORKER, Op::Kill, Facts::default())?;
        server.kill()?;
        self.run.history.end(kill, Outcome::Ok, Facts::default())
    }
}

/// Starts a process in a life of its own.
pub(crate) fn start(run: &Run, installation: &Installation, crash_at: Option<&str>) -> Result<Server> {
    for replica in &run.replicas {
        replica.life.fetch_add(1, Ordering::Relaxed);
    }
    installation.start(crash_at)
}

/// Waits until the process is ready or has ended. None: it is ready.
pub(crate) fn ready(run: &Run, server: &mut Server) -> Result<Option<Death>> {
    let start = run.history.begin(WORKER, Op::Start, Facts::default())?;
    let death = server.ready()?;
    let outcome = if death.is_none() { Outcome::Ok } else { Outcome::Info };
    run.history.end(start, outcome, Facts::default())?;
    Ok(death)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_crash_point_of_the_service_is_in_the_plan() {
        let planned: BTreeSet<_> = POINTS.iter().map(|point| point.name).collect();
        let there: BTreeSet<_> = engine::CrashPoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(planned, there);
    }
}
