//! Kills the service at times drawn from the seed, and at every crash point, and starts it again on the same data.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use testbed::bos::Server;

use crate::{
    database::{put_overdue_timer, put_poison},
    history::{Facts, Op, Outcome},
    load::Run,
    report::Row,
    server::{Death, Installation, READY_DEADLINE},
};

/// The worker number of this thread in the history.
pub(crate) const WORKER: usize = 1_000;

/// The crash points, each with its effect and the largest pass at which a process is told to crash. The
/// number is drawn, because the work after a start, which makes the first passes, is always the same.
pub(crate) const POINTS: [Point; 10] = [
    Point { name: "before_accept", fault: "before the accept transaction", passes: 20 },
    Point { name: "accepted", fault: "accept committed, not answered", passes: 20 },
    Point { name: "text_stored", fault: "text stored at Content, not recorded", passes: 10 },
    Point { name: "before_wake", fault: "committed, tasks not woken", passes: 20 },
    Point { name: "before_publish", fault: "relay: nothing published yet", passes: 20 },
    Point { name: "published", fault: "relay: published, not recorded", passes: 10 },
    Point { name: "polled", fault: "consumer: messages in memory only", passes: 10 },
    Point { name: "consumed", fault: "consumer: committed, offset not", passes: 10 },
    Point { name: "set_aside", fault: "dead letter written, offset not committed", passes: 1 },
    Point { name: "timer_fired", fault: "timer due, nothing committed", passes: 1 },
];

/// The crash point that needs an unreadable record on the bus.
pub(crate) const NEEDS_POISON: &str = "set_aside";
/// The crash point that needs an overdue timer; on a fast machine no deadline passes otherwise.
pub(crate) const NEEDS_TIMER: &str = "timer_fired";

/// Time between the start of the service and the next fault.
const LIFE_MS: std::ops::Range<u64> = 150..1_500;
/// A run lasts up to this many times its length until every crash point was reached.
const PATIENCE: u32 = 8;
/// Time for a process to reach its crash point.
const CRASH_DEADLINE: Duration = Duration::from_secs(4);
/// One in this many rounds is a volley: several kills, each shortly after a start.
const VOLLEY: u8 = 5;
const VOLLEY_KILLS: std::ops::Range<usize> = 3..6;
const VOLLEY_MS: std::ops::Range<u64> = 10..250;

/// A crash point of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// The state that the crash leaves.
    pub(crate) fault: &'static str,
    pub(crate) passes: u32,
}

/// The faults that were injected.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The number of crashes at each point.
    pub(crate) crashes: BTreeMap<&'static str, usize>,
    /// Number of unreadable records put on the bus.
    pub(crate) poison: usize,
}

impl Done {
    /// The crashes as rows of the report. Each point is required once.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        crash_rows(&self.crashes)
    }
}

/// The number of crashes at each point, as rows of the report.
pub(crate) fn crash_rows(crashes: &BTreeMap<&'static str, usize>) -> impl Iterator<Item = Row> {
    POINTS.iter().map(|point| {
        let times = crashes.get(point.name).copied().unwrap_or_default();
        Row::new(format!("crash at {}", point.name), point.fault, times, 1)
    })
}

/// Kills and crashes the service.
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

    /// Kills and crashes a ready service for `time`, and for up to [`PATIENCE`] times as long until every
    /// crash point was reached, so that the result does not depend on the speed of the machine. Leaves the
    /// service stopped.
    pub(crate) fn run(mut self, mut server: Server, time: Duration) -> Result<Done> {
        let begun = Instant::now();
        loop {
            let complete = self.done.crashes.len() == POINTS.len();
            if begun.elapsed() >= if complete { time } else { time * PATIENCE } {
                break;
            }
            self.wait(LIFE_MS);
            self.kill(&mut server)?;
            if self.random.u8(..VOLLEY) == 0 {
                self.volley()?;
            }
            self.crash()?;
            server = self.start(None)?;
            if let Some(death) = self.ready(&mut server)? {
                bail!("the service ended unexpectedly: {death:?}");
            }
        }
        self.kill(&mut server)?;
        Ok(self.done)
    }

    /// Starts a process that is to crash at the next point of the plan, and kills it when it does not reach
    /// the point.
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
            death = server.wait(CRASH_DEADLINE)?.map(Death::from);
        }
        match death {
            Some(Death::AtCrashPoint) => {
                *self.done.crashes.entry(point.name).or_default() += 1;
                let facts = Facts { note: Some(crash_at), ..Facts::default() };
                let crash = self.run.history.begin(WORKER, Op::Crash, facts.clone())?;
                self.run.history.end(crash, Outcome::Ok, facts)
            }
            Some(death @ (Death::Other(_) | Death::Killed)) => {
                bail!("the service ended unexpectedly: {death:?}")
            }
            None => self.kill(&mut server),
        }
    }

    /// Several kills, each so soon after a start that the start does not complete.
    fn volley(&mut self) -> Result<()> {
        for _ in 0..self.random.usize(VOLLEY_KILLS) {
            let mut server = self.start(None)?;
            self.wait(VOLLEY_MS);
            self.kill(&mut server)?;
        }
        Ok(())
    }

    /// The next point of the plan, which contains every point once in a drawn order.
    fn next_point(&mut self) -> Point {
        if self.plan.is_empty() {
            self.plan = POINTS.to_vec();
            self.random.shuffle(&mut self.plan);
        }
        let [first, ..] = POINTS;
        self.plan.pop().unwrap_or(first)
    }

    fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
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

/// Starts a process and counts the start.
pub(crate) fn start(run: &Run, installation: &Installation, crash_at: Option<&str>) -> Result<Server> {
    for replica in &run.replicas {
        replica.life.fetch_add(1, Ordering::Relaxed);
    }
    installation.start(crash_at)
}

/// Waits until the process is ready or has ended. `None`: it is ready.
pub(crate) fn ready(run: &Run, server: &mut Server) -> Result<Option<Death>> {
    let start = run.history.begin(WORKER, Op::Start, Facts::default())?;
    let death = server.ready(READY_DEADLINE)?.map(Death::from);
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
