//! Crashes one replica at each of its crash points, while other faults happen.

use std::{collections::BTreeMap, thread, time::Duration, time::Instant};

use anyhow::Result;
use testbed::process;

use super::{bus::put_poison, cluster::Cluster, database::Observer, nemesis::CRASHING};
use crate::{
    history::{Facts, Op, Outcome},
    load::Run,
    nemesis::{NEEDS_POISON, NEEDS_TIMER, POINTS, Point, WORKER},
    server::Death,
};

/// Time for a replica to reach its crash point.
const CRASH_DEADLINE: Duration = Duration::from_secs(10);
/// The same for a crash point of the consumer: partitions are reassigned only after the session time-out of
/// the crashed member.
const CONSUMER_DEADLINE: Duration = Duration::from_secs(25);
const OF_CONSUMER: [&str; 3] = ["polled", "consumed", NEEDS_POISON];
/// The period of new work that leads to a crash point which another replica may have passed instead.
const BAIT: Duration = Duration::from_secs(2);
/// The largest pass to crash at: a replica among others passes a point less often than a single one.
const PASSES: u32 = 3;
/// The pause before the next start, after a start failed because of another fault.
const PAUSE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(10);

/// Crashes the replica until `is_enough`, which is told whether every crash point was reached. Afterwards the
/// replica does not run.
pub(crate) fn crash(
    run: &Run,
    cluster: &Cluster,
    postgres: String,
    is_enough: impl Fn(bool) -> bool,
) -> Result<BTreeMap<&'static str, usize>> {
    let mut random = fastrand::Rng::with_seed(run.seed ^ 0xc7a5);
    let observer = Observer::new(postgres)?;
    let kafka = super::bus::settings(cluster.to_kafka.port());
    let mut crashes: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut plan: Vec<Point> = Vec::new();
    let mut rounds = 0;
    while !is_enough(crashes.len() == POINTS.len()) {
        process::check_interrupted()?;
        if plan.is_empty() {
            // The points that were not reached yet; all of them once each was reached.
            let missing = |point: &&Point| !crashes.contains_key(point.name) || crashes.len() == POINTS.len();
            plan = POINTS.iter().filter(missing).copied().collect();
            random.shuffle(&mut plan);
        }
        let Some(point) = plan.pop() else { break };
        let at = format!("{}:{}", point.name, random.u32(1..=point.passes.min(PASSES)));
        cluster.start(run, CRASHING, Some(&at))?;
        let death = match cluster.ready(run, CRASHING)? {
            None => death(cluster, &point, || {
                // When the database is unavailable, the next round tries again.
                if point.name == NEEDS_TIMER {
                    let _ = observer.put_overdue_timers();
                }
                if point.name == NEEDS_POISON {
                    rounds += 1;
                    put_poison(&kafka, rounds)?;
                }
                Ok(())
            })?,
            death => death,
        };
        if death == Some(Death::AtCrashPoint) {
            *crashes.entry(point.name).or_default() += 1;
            let facts = Facts { note: Some(at), ..Facts::default() };
            let crash = run.history.begin(WORKER + CRASHING, Op::Crash, facts.clone())?;
            run.history.end(crash, Outcome::Ok, facts)?;
        } else if death.is_some() {
            // It was killed with the others, or could not start while a dependency was unavailable.
            thread::sleep(PAUSE);
        } else {
            cluster.kill(run, CRASHING)?;
        }
    }
    Ok(crashes)
}

/// Waits for the end of the replica, until its deadline, and calls `bait` periodically.
fn death(cluster: &Cluster, point: &Point, mut bait: impl FnMut() -> Result<()>) -> Result<Option<Death>> {
    let begun = Instant::now();
    let time = if OF_CONSUMER.contains(&point.name) { CONSUMER_DEADLINE } else { CRASH_DEADLINE };
    let mut next_bait = begun;
    loop {
        let death = cluster.death(CRASHING)?;
        if death.is_some() || begun.elapsed() >= time {
            return Ok(death);
        }
        if Instant::now() >= next_bait {
            next_bait = Instant::now() + BAIT;
            bait()?;
        }
        thread::sleep(POLL);
    }
}
