//! One replica crashes at each of its crash points, again and again, whatever else happens meanwhile.

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

/// How long a replica is given to come to the point where it is to crash.
const CRASH_DEADLINE: Duration = Duration::from_secs(10);
/// The same for a point of the consumer: partitions are shared out anew only when those who died are known to be dead.
const CONSUMER_DEADLINE: Duration = Duration::from_secs(25);
const OF_CONSUMER: [&str; 3] = ["polled", "consumed", NEEDS_POISON];
/// How often there is something again that leads to a point which others may have passed instead.
const BAIT: Duration = Duration::from_secs(2);
/// Others work too, so one replica does not pass a point as often as one that is alone.
const PASSES: u32 = 3;
/// The pause before another start, when one failed because of a fault elsewhere.
const PAUSE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(10);

/// Has the replica crash until `is_enough`, told whether every point had its crash. It does not run afterwards.
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
            // Those that have not been seen yet, until all have.
            let missing = |point: &&Point| !crashes.contains_key(point.name) || crashes.len() == POINTS.len();
            plan = POINTS.iter().filter(missing).copied().collect();
            random.shuffle(&mut plan);
        }
        let Some(point) = plan.pop() else { break };
        let at = format!("{}:{}", point.name, random.u32(1..=point.passes.min(PASSES)));
        cluster.start(run, CRASHING, Some(&at))?;
        let death = match cluster.ready(run, CRASHING)? {
            None => death(cluster, &point, || {
                // What is away gets its bait another time.
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
            // It was killed with the others, or could not start while something it needs was away.
            thread::sleep(PAUSE);
        } else {
            cluster.kill(run, CRASHING)?;
        }
    }
    Ok(crashes)
}

/// Waits for the replica's end, for as long as it is given, and puts out bait meanwhile.
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
