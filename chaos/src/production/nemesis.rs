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
};

use super::{
    cluster::{Cluster, REPLICAS},
    database::Observer,
};
use crate::{
    history::{Facts, Op, Outcome},
    load::Run,
    nemesis::WORKER,
    report::{KILLS_IN_FLIGHT, kills_in_flight},
    server::Server,
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

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillReplica,
    KillAll,
    FreezeReplica,
    KillCompanions,
    KillBroker,
    FreezeBroker,
    StopDatabase,
    FreezeDatabase,
    EndSessions,
    SlowNetwork,
    BlackHole,
    Resets,
    Cuts,
    DroppedReplies,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::KillReplica,
        Self::KillAll,
        Self::FreezeReplica,
        Self::KillCompanions,
        Self::KillBroker,
        Self::FreezeBroker,
        Self::StopDatabase,
        Self::FreezeDatabase,
        Self::EndSessions,
        Self::SlowNetwork,
        Self::BlackHole,
        Self::Resets,
        Self::Cuts,
        Self::DroppedReplies,
    ];

    const KILLS: [Self; 2] = [Self::KillReplica, Self::KillAll];

    /// Whether a process may be stopped, or cut off from the database, in the middle of a transaction.
    const fn holds_up(self) -> bool {
        matches!(
            self,
            Self::FreezeReplica
                | Self::FreezeDatabase
                | Self::SlowNetwork
                | Self::BlackHole
                | Self::Cuts
                | Self::DroppedReplies
        )
    }

    /// Its name in the history and in the report, and what it is.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::KillReplica => ("replica killed", "SIGKILL of one while the others work"),
            Self::KillAll => ("all replicas killed", "SIGKILL of all at once"),
            Self::FreezeReplica => ("replica frozen", "SIGSTOP past its lease, then SIGCONT"),
            Self::KillCompanions => ("neighbours killed", "content, lifecycle and workers"),
            Self::KillBroker => ("broker killed", "SIGKILL, down for seconds, restarted"),
            Self::FreezeBroker => ("broker frozen", "connections open, nobody answers"),
            Self::StopDatabase => ("database stopped", "as `pg_ctl stop -m immediate`, restarted"),
            Self::FreezeDatabase => ("database frozen", "every process of it"),
            Self::EndSessions => ("sessions ended", "pg_terminate_backend of all, thrice"),
            Self::SlowNetwork => ("network slow", "to all three servers"),
            Self::BlackHole => ("network black hole", "to all three servers; arrives later"),
            Self::Resets => ("connections reset", "to all three servers, thrice"),
            Self::Cuts => ("connections cut", "in the middle of what they say"),
            Self::DroppedReplies => ("replies dropped", "done, and nobody learns of it"),
        }
    }
}

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
}

/// The servers that the service needs.
pub(crate) struct Servers {
    pub(crate) kafka: kafka::Server,
    pub(crate) postgres: postgres::Server,
}

/// The one who does harm.
pub(crate) struct Nemesis<'r> {
    run: &'r Run,
    cluster: &'r Cluster,
    servers: &'r mut Servers,
    observer: Observer,
    calm: &'r Calm,
    random: fastrand::Rng,
    plan: Vec<Fault>,
    done: Done,
}

impl<'r> Nemesis<'r> {
    pub(crate) fn new(
        run: &'r Run,
        cluster: &'r Cluster,
        servers: &'r mut Servers,
        calm: &'r Calm,
    ) -> Result<Self> {
        let observer = Observer::new(servers.postgres.url())?;
        let random = fastrand::Rng::with_seed(run.seed ^ 0x4e_66);
        Ok(Self { run, cluster, servers, observer, calm, random, plan: Vec::new(), done: Done::default() })
    }

    /// Does harm until `is_enough` says so, told whether everything has happened.
    pub(crate) fn rage(mut self, is_enough: impl Fn(bool) -> bool) -> Result<Done> {
        self.calm.set(true);
        while !is_enough(self.is_complete()) {
            self.rest(REST_MS)?;
            if self.plan.is_empty() {
                // Once everything has happened, a kill may still have to meet a write.
                let only_kills = self.done.times.len() == Fault::ALL.len() && !self.is_complete();
                self.plan = if only_kills { Fault::KILLS.to_vec() } else { Fault::ALL.to_vec() };
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
        self.done.times.len() == Fault::ALL.len()
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
                self.cluster.start_companions(self.random.u64(..), true)
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
        let process = self.cluster.with(victim, |server| Ok(server.id()))?;
        let held = self.shards_of(process, |shards| shards > 0)?;
        self.cluster.with(victim, Server::pause)?;
        let taken = self.shards_of(process, |shards| shards == 0);
        // Whatever came of it: a frozen process cannot be asked to end.
        self.cluster.with(victim, Server::resume)?;
        taken?;
        self.done.takeovers += usize::try_from(held)?;
        Ok(())
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
        let until = Instant::now() + Duration::from_millis(self.random.u64(milliseconds));
        while Instant::now() < until {
            process::check_interrupted()?;
            thread::sleep(POLL);
        }
        Ok(())
    }
}
