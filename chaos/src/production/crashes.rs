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

/// How long a replica is given to come to the point where it is to crash: it must be given shards and partitions first, and
/// those of a killed one are free only after a session.
const CRASH_DEADLINE: Duration = Duration::from_secs(12);
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
            plan = POINTS.to_vec();
            random.shuffle(&mut plan);
            // Those that have not been seen yet come first.
            plan.sort_by_key(|point| !crashes.contains_key(point.name));
        }
        let Some(point) = plan.pop() else { break };
        let at = format!("{}:{}", point.name, random.u32(1..=point.passes.min(PASSES)));
        cluster.start(run, CRASHING, Some(&at))?;
        let death = match cluster.ready(run, CRASHING)? {
            None => {
                // A database that is away gets its deadlines another time.
                if point.name == NEEDS_TIMER {
                    let _ = observer.put_overdue_timers();
                }
                if point.name == NEEDS_POISON {
                    rounds += 1;
                    put_poison(&kafka, rounds)?;
                }
                death(cluster)?
            }
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

/// Waits for the replica's end, for as long as it is given.
fn death(cluster: &Cluster) -> Result<Option<Death>> {
    let begun = Instant::now();
    loop {
        let death = cluster.death(CRASHING)?;
        if death.is_some() || begun.elapsed() >= CRASH_DEADLINE {
            return Ok(death);
        }
        thread::sleep(POLL);
    }
}
