//! Does to each part of the cluster what can happen to it, in an order drawn from the seed, until everything has happened.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use testbed::{
    kafka, postgres, process,
    proxy::{Proxy, Trouble},
    small_disk::SmallDisk,
    wall_clock::WallClock,
};

use super::{
    cluster::{Cluster, Manners, REPLICAS},
    database::Observer,
    fault::Fault,
    flood::flood,
};
use crate::{
    history::{Facts, Op, Outcome},
    load::Run,
    nemesis::WORKER,
    report::{KILLS_IN_FLIGHT, kills_in_flight},
};

/// The replica that crashes at its points; the others are killed and paused.
pub(crate) const CRASHING: usize = REPLICAS - 1;

/// A run goes on for up to so many times its length until everything has happened.
pub(crate) const PATIENCE: u32 = 8;

/// How long others may take to take over from a frozen replica: many leases.
const TAKEOVER_DEADLINE: Duration = Duration::from_mins(1);

/// Longer than a message may wait, than a lease, and than a client waits for a database connection.
const OUTAGE_MS: Range<u64> = 3_500..5_000;
const NETWORK_MS: Range<u64> = 2_500..4_000;
/// Between two faults everybody works.
const REST_MS: Range<u64> = 500..1_500;

const POLL: Duration = Duration::from_millis(50);
/// Seconds by which a wall clock is wrong.
const HOUR: i64 = 3_600;
/// How often a flaky Content Service is asked to see that it is.
const ASKED: usize = 40;

/// Since when nothing holds anybody up: only then does an open transaction say something about the service.
#[derive(Debug, Default)]
pub(crate) struct Calm {
    since: Mutex<Option<Instant>>,
}

impl Calm {
    pub(crate) fn lasts(&self, time: Duration) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > time)
    }

    pub(crate) fn set(&self, calm: bool) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = calm.then(|| since.unwrap_or_else(Instant::now));
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) times: BTreeMap<Fault, usize>,
    /// Shards that others took from a frozen replica.
    pub(crate) takeovers: usize,
    /// Connections ended, pieces held up or lost, by what the network did.
    pub(crate) harmed: BTreeMap<Fault, usize>,
    /// How long after a flood somebody was refused, at most.
    pub(crate) refused_for: Duration,
}

/// The servers that the service needs.
pub(crate) struct Servers {
    /// Where some of PostgreSQL's tables are, in a long run on a machine that lets us.
    pub(crate) small_disk: Option<SmallDisk>,
    /// What a replica may go by in a long run, on a system that lets us.
    pub(crate) wall_clock: Option<WallClock>,
    pub(crate) kafka: kafka::Server,
    pub(crate) postgres: postgres::Server,
}

impl Servers {
    /// Whether there is what this fault takes.
    pub(crate) fn allow(&self, fault: Fault) -> bool {
        let lacks_disk = fault == Fault::FullDisk && self.small_disk.is_none();
        let lacks_clock = fault == Fault::WallClock && self.wall_clock.is_none();
        !lacks_disk && !lacks_clock
    }
}

/// The one who does harm.
pub(crate) struct Nemesis<'r> {
    run: &'r Run,
    cluster: &'r Cluster,
    servers: &'r mut Servers,
    observer: Observer,
    calm: &'r Calm,
    random: fastrand::Rng,
    /// All that has to happen.
    faults: Vec<Fault>,
    plan: Vec<Fault>,
    done: Done,
}

impl<'r> Nemesis<'r> {
    pub(crate) fn new(
        run: &'r Run,
        cluster: &'r Cluster,
        servers: &'r mut Servers,
        calm: &'r Calm,
        faults: Vec<Fault>,
    ) -> Result<Self> {
        let observer = Observer::new(servers.postgres.url())?;
        let random = fastrand::Rng::with_seed(run.seed ^ 0x4e_66);
        let (plan, done) = (Vec::new(), Done::default());
        Ok(Self { run, cluster, servers, observer, calm, random, faults, plan, done })
    }

    /// Does harm until `is_enough` says so, told whether everything has happened.
    pub(crate) fn rage(mut self, is_enough: impl Fn(bool) -> bool) -> Result<Done> {
        self.calm.set(true);
        while !is_enough(self.is_complete()) {
            self.rest(REST_MS)?;
            if self.plan.is_empty() {
                // Once everything has happened, a kill may still have to meet a write.
                let only_kills = self.done.times.len() == self.faults.len() && !self.is_complete();
                self.plan = if only_kills { Fault::KILLS.to_vec() } else { self.faults.clone() };
                self.random.shuffle(&mut self.plan);
            }
            let Some(fault) = self.plan.pop() else { break };
            let (name, _) = fault.words();
            let facts = Facts { note: Some(name.to_owned()), ..Facts::default() };
            let call = self.run.history.begin(WORKER + REPLICAS, Op::Fault, facts.clone())?;
            self.calm.set(!fault.holds_up());
            self.inflict(fault)?;
            self.calm.set(true);
            self.run.history.end(call, Outcome::Ok, facts)?;
            *self.done.times.entry(fault).or_default() += 1;
            self.see_the_others_live()?;
        }
        Ok(self.done)
    }

    /// Whether everything has happened, and kills have met writes.
    fn is_complete(&self) -> bool {
        self.done.times.len() == self.faults.len()
            && kills_in_flight(&self.run.history.calls()) >= KILLS_IN_FLIGHT
    }

    fn inflict(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillReplica => {
                let victim = self.random.usize(..CRASHING);
                self.cluster.kill(self.run, victim)?;
                self.cluster.start_well(self.run, victim)
            }
            Fault::KillAll => {
                (0..REPLICAS).try_for_each(|replica| self.cluster.kill(self.run, replica))?;
                (0..CRASHING).try_for_each(|replica| self.cluster.start_well(self.run, replica))
            }
            Fault::FreezeReplica => self.freeze_replica(),
            Fault::KillCompanions => {
                self.cluster.kill_companions()?;
                self.rest(REST_MS)?;
                self.cluster.start_companions(self.random.u64(..), Manners::Bad)
            }
            Fault::KillBroker => {
                self.servers.kafka.kill()?;
                self.rest(OUTAGE_MS)?;
                self.servers.kafka.restart()
            }
            Fault::FreezeBroker => {
                self.servers.kafka.pause()?;
                self.rest(OUTAGE_MS)?;
                self.servers.kafka.resume()
            }
            Fault::StopDatabase => {
                self.servers.postgres.stop_immediately()?;
                self.rest(OUTAGE_MS)?;
                self.servers.postgres.restart()
            }
            Fault::FreezeDatabase => {
                self.servers.postgres.pause()?;
                self.rest(OUTAGE_MS)?;
                self.servers.postgres.resume()
            }
            Fault::EndSessions => (0..3).try_for_each(|_| {
                self.observer.terminate_sessions()?;
                self.rest(REST_MS)
            }),
            Fault::SlowNetwork => {
                let time = Duration::from_millis(self.random.u64(20..80));
                self.network(fault, Trouble::Slow(time))
            }
            Fault::BlackHole => self.network(fault, Trouble::BlackHole),
            Fault::Cuts => {
                let bytes = self.random.usize(500..5_000);
                self.network(fault, Trouble::CutAfter(bytes))
            }
            Fault::DroppedReplies => self.network(fault, Trouble::DropReplies),
            Fault::LongBrokerOutage => {
                self.servers.kafka.kill()?;
                self.rest(120_000..121_000)?;
                self.servers.kafka.restart()
            }
            Fault::LongBrokerFreeze => {
                self.servers.kafka.pause()?;
                self.rest(90_000..91_000)?;
                self.servers.kafka.resume()
            }
            Fault::LongSessionsEnded => (0..15).try_for_each(|_| {
                self.observer.terminate_sessions()?;
                self.rest(2_000..2_001)
            }),
            Fault::RollingRestart => (0..CRASHING).try_for_each(|replica| {
                self.cluster.stop_one(replica)?;
                self.cluster.start_well(self.run, replica)
            }),
            Fault::FullDisk => {
                let Some(disk) = &self.servers.small_disk else { return Ok(()) };
                disk.fill()?;
                let rested = self.rest(8_000..9_000);
                // Whatever came of it: what follows needs the space.
                self.servers.small_disk.as_ref().map_or(Ok(()), SmallDisk::clear)?;
                rested
            }
            Fault::FlakyContent => {
                self.cluster.start_companions(self.random.u64(..), Manners::Flaky)?;
                let rested = self.rest(300_000..301_000);
                let errors = self.cluster.content_errors(ASKED)?;
                self.cluster.start_companions(self.random.u64(..), Manners::Bad)?;
                ensure!(
                    (1..ASKED).contains(&errors),
                    "{errors} of {ASKED} answers of the Content Service are errors"
                );
                *self.done.harmed.entry(fault).or_default() += errors;
                rested
            }
            Fault::WallClock => self.mislead_a_replica(),
            Fault::Flood => {
                let number = self.done.times.get(&fault).copied().unwrap_or_default();
                let refused_for = flood(self.run, number)?;
                self.done.refused_for = self.done.refused_for.max(refused_for);
                Ok(())
            }
            Fault::CrashLoop => (0..20).try_for_each(|_| {
                let victim = self.random.usize(..CRASHING);
                self.cluster.kill(self.run, victim)?;
                self.cluster.start(self.run, victim, None)?;
                self.rest(3_000..3_001)
            }),
            Fault::Resets => {
                let before = self.harmed();
                for _ in 0..3 {
                    self.proxies().into_iter().for_each(Proxy::reset);
                    self.rest(REST_MS)?;
                }
                self.count(fault, before);
                Ok(())
            }
        }
    }

    /// Others must take over from a frozen replica, and bear that it goes on as if nothing had happened.
    fn freeze_replica(&mut self) -> Result<()> {
        let victim = self.random.usize(..CRASHING);
        let process = self.cluster.process(victim)?;
        let held = self.shards_of(process, |shards| shards > 0)?;
        self.cluster.pause(victim)?;
        let taken = self.shards_of(process, |shards| shards == 0);
        // Whatever came of it: a frozen process cannot be asked to end.
        self.cluster.resume(victim)?;
        taken?;
        self.done.takeovers += usize::try_from(held)?;
        Ok(())
    }

    /// A replica must keep its shards whatever its wall clock does.
    fn mislead_a_replica(&mut self) -> Result<()> {
        let victim = self.random.usize(..CRASHING);
        let Some(clock) = &self.servers.wall_clock else { return Ok(()) };
        self.cluster.stop_one(victim)?;
        clock.is_off_by(HOUR)?;
        self.cluster.start_with(self.run, victim, |command| {
            command.envs(clock.variables());
        })?;
        self.cluster.ready_well(self.run, victim)?;
        let other = (victim + 1) % CRASHING;
        let off = (self.cluster.time_of(victim)? - self.cluster.time_of(other)?).num_seconds();
        ensure!((off - HOUR).abs() < 30, "a replica's wall clock is off by {off} s and not by an hour");
        let process = self.cluster.process(victim)?;
        self.shards_of(process, |shards| shards > 0)?;
        for off in [-HOUR, 60, -60, HOUR, 0].repeat(12) {
            self.servers.wall_clock.as_ref().map_or(Ok(()), |clock| clock.is_off_by(off))?;
            self.rest(1_000..1_001)?;
        }
        self.shards_of(process, |shards| shards > 0)?;
        self.cluster.stop_one(victim)?;
        self.cluster.start_well(self.run, victim)
    }

    /// Waits until a process holds so many shards.
    fn shards_of(&mut self, process: u32, as_many: impl Fn(i64) -> bool) -> Result<i64> {
        let begun = Instant::now();
        loop {
            let shards = self.observer.shards_of(process)?;
            if as_many(shards) {
                return Ok(shards);
            }
            ensure!(
                begun.elapsed() < TAKEOVER_DEADLINE,
                "a replica that is frozen, or one that is not, holds {shards} shards for {TAKEOVER_DEADLINE:?}"
            );
            process::check_interrupted()?;
            thread::sleep(POLL);
        }
    }

    fn network(&mut self, fault: Fault, trouble: Trouble) -> Result<()> {
        let before = self.harmed();
        for proxy in self.proxies() {
            proxy.set(trouble);
        }
        let rested = self.rest(NETWORK_MS);
        for proxy in self.proxies() {
            proxy.set(Trouble::None);
        }
        self.count(fault, before);
        rested
    }

    fn count(&mut self, fault: Fault, before: usize) {
        let harmed = self.harmed() - before;
        *self.done.harmed.entry(fault).or_default() += harmed;
    }

    fn harmed(&self) -> usize {
        self.proxies().map(Proxy::harmed).iter().sum()
    }

    fn proxies(&self) -> [&'r Proxy; 3] {
        [&self.cluster.to_kafka, &self.cluster.to_postgres, &self.cluster.to_content]
    }

    /// No fault of a neighbour may end a process of the service.
    fn see_the_others_live(&self) -> Result<()> {
        for replica in 0..CRASHING {
            if let Some(death) = self.cluster.death(replica)? {
                bail!("replica {replica} ended by itself: {death:?}; see its log");
            }
        }
        Ok(())
    }

    fn rest(&mut self, milliseconds: Range<u64>) -> Result<()> {
        rest(Duration::from_millis(self.random.u64(milliseconds)))
    }
}

/// Waits so long, unless the run is interrupted.
pub(super) fn rest(time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        process::check_interrupted()?;
        thread::sleep(POLL);
    }
    Ok(())
}
