//! Injects the faults of every part of the cluster, in an order drawn from the seed, until each has happened.

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
    proxy::{NetworkFault, Proxy},
    small_disk::SmallDisk,
    wall_clock::WallClock,
};

use super::{
    cluster::{Behaviour, Cluster, REPLICAS},
    database::Observer,
    fault::Fault,
    flood::flood,
    pause::rest,
};
use crate::{
    history::{Facts, Op, Outcome},
    load::Run,
    nemesis::WORKER,
    report::{KILLS_IN_FLIGHT, kills_in_flight},
};

/// The replica that crashes at its crash points; the others are killed and paused.
pub(crate) const CRASHING: usize = REPLICAS - 1;

/// A run lasts up to this many times its length until every fault has happened.
pub(crate) const PATIENCE: u32 = 8;

/// Time for the other replicas to take over from a paused one: many leases.
const TAKEOVER_DEADLINE: Duration = Duration::from_mins(1);

/// Longer than a message time-out, than a lease, and than a client's wait for a database connection.
const OUTAGE_MS: Range<u64> = 3_500..5_000;
const NETWORK_MS: Range<u64> = 2_500..4_000;
/// The time between two faults, in which everything works.
const REST_MS: Range<u64> = 500..1_500;

const POLL: Duration = Duration::from_millis(50);
/// Seconds by which a wall clock is wrong.
const HOUR: i64 = 3_600;
/// Requests that verify that a flaky Content Service returns errors.
const ASKED: usize = 40;

/// Since when no fault suspends a process or a connection. Only then does an open transaction tell something
/// about the service.
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

/// The faults that were injected.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) times: BTreeMap<Fault, usize>,
    /// Shards that other replicas took over from a paused one.
    pub(crate) takeovers: usize,
    /// Connections that were ended and chunks that were delayed or lost, by network fault.
    pub(crate) affected: BTreeMap<Fault, usize>,
    /// The longest time from the end of a flood to the last refusal.
    pub(crate) refused_for: Duration,
}

/// The servers that the service needs, and the means of some faults.
pub(crate) struct Servers {
    /// The disk of some of PostgreSQL's tables, in a long run as root.
    pub(crate) small_disk: Option<SmallDisk>,
    /// The wall clock of one replica, in a long run on Linux.
    pub(crate) wall_clock: Option<WallClock>,
    pub(crate) kafka: kafka::Server,
    pub(crate) postgres: postgres::Server,
}

impl Servers {
    /// Whether this fault is possible here.
    pub(crate) fn allow(&self, fault: Fault) -> bool {
        let lacks_disk = fault == Fault::FullDisk && self.small_disk.is_none();
        let lacks_clock = fault == Fault::WallClock && self.wall_clock.is_none();
        !lacks_disk && !lacks_clock
    }
}

/// Injects the faults.
pub(crate) struct Nemesis<'r> {
    run: &'r Run,
    cluster: &'r Cluster,
    servers: &'r mut Servers,
    observer: Observer,
    calm: &'r Calm,
    random: fastrand::Rng,
    /// The faults that must happen.
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

    /// Injects faults until `is_enough`, which is told whether every fault has happened.
    pub(crate) fn run(mut self, is_enough: impl Fn(bool) -> bool) -> Result<Done> {
        self.calm.set(true);
        while !is_enough(self.is_complete()) {
            self.rest(REST_MS)?;
            if self.plan.is_empty() {
                // When every fault has happened, only a kill during a write may be missing.
                let only_kills = self.done.times.len() == self.faults.len() && !self.is_complete();
                self.plan = if only_kills { Fault::KILLS.to_vec() } else { self.faults.clone() };
                self.random.shuffle(&mut self.plan);
            }
            let Some(fault) = self.plan.pop() else { break };
            let (name, _) = fault.description();
            let facts = Facts { note: Some(name.to_owned()), ..Facts::default() };
            let call = self.run.history.begin(WORKER + REPLICAS, Op::Fault, facts.clone())?;
            self.calm.set(!fault.holds_up());
            self.inflict(fault)?;
            self.calm.set(true);
            self.run.history.end(call, Outcome::Ok, facts)?;
            *self.done.times.entry(fault).or_default() += 1;
            self.check_replicas_run()?;
        }
        Ok(self.done)
    }

    /// Whether every fault has happened, and kills have met writes.
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
                self.cluster.start_companions(self.random.u64(..), Behaviour::Faulty)
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
                self.network(fault, NetworkFault::Slow(time))
            }
            Fault::BlackHole => self.network(fault, NetworkFault::BlackHole),
            Fault::Cuts => {
                let bytes = self.random.usize(500..5_000);
                self.network(fault, NetworkFault::CutAfter(bytes))
            }
            Fault::DroppedReplies => self.network(fault, NetworkFault::DropReplies),
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
                // Cleared in any case: what follows needs the space.
                self.servers.small_disk.as_ref().map_or(Ok(()), SmallDisk::clear)?;
                rested
            }
            Fault::FlakyContent => {
                self.cluster.start_companions(self.random.u64(..), Behaviour::Flaky)?;
                let rested = self.rest(300_000..301_000);
                let errors = self.cluster.content_errors(ASKED)?;
                self.cluster.start_companions(self.random.u64(..), Behaviour::Faulty)?;
                ensure!(
                    (1..ASKED).contains(&errors),
                    "{errors} of {ASKED} answers of the Content Service are errors"
                );
                *self.done.affected.entry(fault).or_default() += errors;
                rested
            }
            Fault::WallClock => self.change_wall_clock(),
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
                let before = self.affected();
                for _ in 0..3 {
                    self.proxies().into_iter().for_each(Proxy::reset);
                    self.rest(REST_MS)?;
                }
                self.count(fault, before);
                Ok(())
            }
        }
    }

    /// The other replicas must take over from a paused one, and tolerate that it continues afterwards.
    fn freeze_replica(&mut self) -> Result<()> {
        let victim = self.random.usize(..CRASHING);
        let process = self.cluster.process(victim)?;
        let held = self.shards_of(process, |shards| shards > 0)?;
        self.cluster.pause(victim)?;
        let taken = self.shards_of(process, |shards| shards == 0);
        // Resumed in any case: a paused process cannot stop.
        self.cluster.resume(victim)?;
        taken?;
        self.done.takeovers += usize::try_from(held)?;
        Ok(())
    }

    /// A replica must keep its shards when its wall clock jumps.
    fn change_wall_clock(&mut self) -> Result<()> {
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

    /// Waits until the number of shards that a process holds satisfies `as_many`.
    fn shards_of(&mut self, process: u32, as_many: impl Fn(i64) -> bool) -> Result<i64> {
        let begun = Instant::now();
        loop {
            let shards = self.observer.shards_of(process)?;
            if as_many(shards) {
                return Ok(shards);
            }
            ensure!(
                begun.elapsed() < TAKEOVER_DEADLINE,
                "a replica has held {shards} shards for {TAKEOVER_DEADLINE:?}, and that number must change"
            );
            process::check_interrupted()?;
            thread::sleep(POLL);
        }
    }

    fn network(&mut self, fault: Fault, network_fault: NetworkFault) -> Result<()> {
        let before = self.affected();
        for proxy in self.proxies() {
            proxy.set(network_fault);
        }
        let rested = self.rest(NETWORK_MS);
        for proxy in self.proxies() {
            proxy.set(NetworkFault::None);
        }
        self.count(fault, before);
        rested
    }

    fn count(&mut self, fault: Fault, before: usize) {
        let affected = self.affected() - before;
        *self.done.affected.entry(fault).or_default() += affected;
    }

    fn affected(&self) -> usize {
        self.proxies().map(Proxy::affected).iter().sum()
    }

    fn proxies(&self) -> [&'r Proxy; 3] {
        [&self.cluster.to_kafka, &self.cluster.to_postgres, &self.cluster.to_content]
    }

    /// Checks that no replica has ended because of a fault of a dependency.
    fn check_replicas_run(&self) -> Result<()> {
        for replica in 0..CRASHING {
            if let Some(death) = self.cluster.death(replica)? {
                bail!("replica {replica} ended unexpectedly: {death:?}; see its log");
            }
        }
        Ok(())
    }

    fn rest(&mut self, milliseconds: Range<u64>) -> Result<()> {
        rest(Duration::from_millis(self.random.u64(milliseconds)))
    }
}
