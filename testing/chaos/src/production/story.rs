//! A run of the production mode.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use invariants::Evaluation;
use testbed::{WallClock, kafka, postgres};

use super::{
    bus::{self, Bus},
    cluster::{Behaviour, Cluster, REPLICAS},
    crashes,
    database::Observer,
    fault::Fault,
    flood::is_refused,
    nemesis::{CRASHING, Calm, Done, Nemesis, PATIENCE, Servers},
    resources::Resources,
    sessions::{self, Sessions},
};
use crate::{
    check::{Evidence, check},
    clients::{converge, with_clients},
    history::{Call, History, Op, Outcome},
    load::{Pace, Run},
    nemesis::crash_rows,
    report::{Report, Row},
    watch::Watched,
};

/// Time for everything to be answered and to end after the last fault (chosen): phases may have to time out,
/// the machine is shared, and a flood leaves a backlog.
const CONVERGENCE: Duration = Duration::from_mins(5);

/// Size in MB of the disk for the tables of submissions: enough for a flood (measured).
const SMALL_DISK: u32 = 512;

const PACE: Pace = Pace { submit: 30..250, read: 20..80 };

/// The parameters of a run.
pub(crate) struct Story {
    pub(crate) bos: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) seed: u64,
    /// Whether to include the faults that take minutes.
    pub(crate) long: bool,
}

/// What was done to the cluster, and what was observed meanwhile.
struct Harm {
    done: Done,
    crashes: BTreeMap<&'static str, usize>,
    sessions: Sessions,
    resources: Resources,
    /// The faults that had to happen.
    faults: Vec<Fault>,
    /// Whether `bos audit` found no violation at the end, while all replicas worked.
    audited: bool,
}

impl Story {
    /// Makes the run, with faults for `time`.
    pub(crate) fn tell(&self, time: Duration) -> Result<Report> {
        let cluster = Cluster::new(&self.bos, &self.out)?;
        let mut servers = start(&cluster)?;
        cluster.prepare()?;
        if self.long {
            servers.wall_clock = WallClock::make()?;
            if servers.wall_clock.is_none() {
                eprintln!("left out: a wrong wall clock (F63), which needs Linux");
            }
            servers.small_disk = servers.postgres.small_disk(SMALL_DISK)?;
            match &servers.small_disk {
                Some(disk) => Observer::new(servers.postgres.url())?.move_tables_to(&disk.folder())?,
                None => eprintln!("left out: a full disk (F44), which needs root"),
            }
        }
        cluster.start_companions(self.seed, Behaviour::Faulty)?;
        let history = History::create(&self.out.join("history.jsonl"))?;
        let run = Run::new(self.seed, history, &cluster.addresses, PACE);
        for replica in 0..CRASHING {
            cluster.start_well(&run, replica)?;
        }
        eprintln!("{REPLICAS} replicas on PostgreSQL and Kafka");
        let resources = Resources::at_first(&cluster)?;
        let (harm, watched) = with_clients(&run, |is_all_submitted| {
            let mut harm = self.inject_faults(&run, &cluster, &mut servers, resources, time)?;
            eprintln!("faults are over after {} s", run.history.seconds());
            cluster.start_companions(self.seed, Behaviour::Correct)?;
            cluster.start_well(&run, CRASHING)?;
            converge(&run, CONVERGENCE, is_all_submitted)?;
            harm.resources.at_the_end(&cluster)?;
            harm.audited = cluster.audit()?;
            eprintln!("everything was read at the end, after {} s", run.history.seconds());
            Ok(harm)
        })?;
        cluster.stop()?;
        cluster.kill_companions()?;
        self.judge(&run, &cluster, &Observer::new(servers.postgres.url())?, &harm, watched)
    }

    fn judge(
        &self,
        run: &Run,
        cluster: &Cluster,
        observer: &Observer,
        harm: &Harm,
        mut watched: Watched,
    ) -> Result<Report> {
        let mut sightings = std::mem::take(&mut watched.sightings);
        let settings = bus::settings(cluster.to_kafka.port());
        let mut audit = bus::audit(&settings)?;
        let bus = Bus::read(&settings, &run.canary, &mut audit)?;
        observer.save(&self.out.join("data/tables"))?;
        let mut database = observer.read(&run.canary)?;
        database.log = bus.log;
        sightings.extend(database.sightings.iter().cloned());
        sightings.extend(bus.sightings);
        let calls = run.history.calls();
        let mut searched = database.searched + bus.records + watched.readings;
        for replica in 0..REPLICAS {
            searched += 1;
            let log = std::fs::read(cluster.log(replica)).context("reading a log")?;
            sightings.extend(run.canary.sightings("a log", &log));
        }
        for problem in calls.iter().filter_map(|call| call.facts.problem.as_deref()) {
            searched += 1;
            sightings.extend(run.canary.sightings("an error's body", problem.as_bytes()));
        }
        let evidence = Evidence {
            calls: &calls,
            database: &database,
            sightings: &sightings,
            searched,
            poison: bus.poison,
        };
        let mut evaluations = check(evidence);
        evaluations.extend([harm.resources.evaluation(), harm.sessions.evaluation()]);
        add(&mut evaluations, observer.finish(audit)?);
        let mut rows = Row::of_load(&calls, watched.duplicates());
        let changes = usize::try_from(observer.shard_moves()?)?;
        rows.extend(harm.rows(&calls));
        rows.push(Row::new("shards", "changed hands, in all", changes, 1));
        rows.push(Row::new("duplicate publish", "of ours, raw, on the topics", bus.duplicates, 1));
        rows.push(Row::new("poison", "unreadable records", bus.poison, 1));
        rows.push(Row::new(
            "bos audit",
            "found no violation at the end; see audit.txt",
            harm.audited.into(),
            1,
        ));
        rows.extend(crash_rows(&harm.crashes));
        Ok(Report::new("production", self.seed, &calls, rows, evaluations))
    }

    /// Runs the two threads that inject faults and the two that observe, until every fault has happened.
    fn inject_faults(
        &self,
        run: &Run,
        cluster: &Cluster,
        servers: &mut Servers,
        mut resources: Resources,
        time: Duration,
    ) -> Result<Harm> {
        let (calm, over) = (Calm::default(), AtomicBool::new(false));
        let [faults_are_complete, crashes_are_complete] = [AtomicBool::new(false), AtomicBool::new(false)];
        let url = servers.postgres.url();
        let faults = Fault::of(self.long, |fault| servers.allow(fault));
        let begun = Instant::now();
        let is_enough = || {
            let complete =
                faults_are_complete.load(Ordering::SeqCst) && crashes_are_complete.load(Ordering::SeqCst);
            over.load(Ordering::SeqCst) || begun.elapsed() >= if complete { time } else { time * PATIENCE }
        };
        let nemesis = Nemesis::new(run, cluster, servers, &calm, faults.clone())?;
        thread::scope(|threads| {
            let health = threads.spawn(|| resources.watch(cluster, &over));
            let watcher = threads.spawn(|| sessions::watch(&url, &calm, &over));
            let crashing = threads.spawn(|| {
                crashes::crash(run, cluster, url.clone(), |complete| {
                    crashes_are_complete.store(complete, Ordering::SeqCst);
                    is_enough()
                })
                .inspect_err(|_| over.store(true, Ordering::SeqCst))
            });
            let done = nemesis.run(|complete| {
                faults_are_complete.store(complete, Ordering::SeqCst);
                is_enough()
            });
            if done.is_err() {
                over.store(true, Ordering::SeqCst);
            }
            let crashes =
                crashing.join().map_err(|_| anyhow!("the thread that crashes a replica panicked"))?;
            over.store(true, Ordering::SeqCst);
            let sessions =
                watcher.join().map_err(|_| anyhow!("the thread that watches the sessions panicked"))?;
            health.join().map_err(|_| anyhow!("the thread that reads /healthz panicked"))?;
            Ok((done?, crashes?, sessions?))
        })
        .map(|(done, crashes, sessions)| Harm {
            done,
            crashes,
            sessions,
            resources,
            faults,
            audited: false,
        })
    }
}

impl Harm {
    fn rows(&self, calls: &[Call]) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .faults
            .iter()
            .map(|fault| {
                let (name, note) = fault.description();
                Row::new(name, note, self.done.times.get(fault).copied().unwrap_or_default(), 1)
            })
            .collect();
        rows.extend(self.done.affected.iter().map(|(fault, pieces)| {
            let note = if *fault == Fault::FlakyContent {
                "answers that were errors, at the end of the fault"
            } else {
                "connections ended, chunks delayed or lost"
            };
            Row::new(fault.description().0, note, *pieces, 1)
        }));
        rows.push(Row::new("takeover", "shards taken from a frozen replica", self.done.takeovers, 1));
        let during = |fault: Fault, wanted: &dyn Fn(&Call) -> bool| {
            let (name, _) = fault.description();
            let outages: Vec<_> = calls
                .iter()
                .filter(|call| call.op == Op::Fault && call.facts.note.as_deref() == Some(name))
                .collect();
            let within = |call: &&Call| outages.iter().any(|outage| call.is_within(outage));
            calls.iter().filter(|call| call.op.is_write() && wanted(call)).filter(within).count()
        };
        let accepted = during(Fault::KillBroker, &|call| call.outcome == Outcome::Ok);
        rows.push(Row::new("accepted", "while the broker was killed", accepted, 1));
        let refused = during(Fault::StopDatabase, &|call| call.facts.status == Some(503));
        rows.push(Row::new("answered 503", "while the database was stopped", refused, 1));
        if self.faults.contains(&Fault::Flood) {
            let refused = during(Fault::Flood, &is_refused);
            rows.push(Row::new("asked to come back", "while there was a flood", refused, 1));
            let accepted = during(Fault::Flood, &|call| call.outcome == Outcome::Ok);
            rows.push(Row::new("accepted", "while there was a flood", accepted, 1));
            let ms = usize::try_from(self.done.refused_for.as_millis()).unwrap_or(usize::MAX);
            rows.push(Row::new("recovered", "ms from the flood's end to the last refusal", ms, 0));
        }
        if self.faults.contains(&Fault::FullDisk) {
            let refused = during(Fault::FullDisk, &|call| call.facts.status == Some(503));
            rows.push(Row::new("answered 503", "while the disk was full", refused, 1));
        }
        rows
    }
}

/// Adds what the service's own audit has found, in the order of the invariants' ids.
fn add(evaluations: &mut Vec<Evaluation>, audited: Vec<Evaluation>) {
    for audited in audited {
        match evaluations.iter_mut().find(|known| known.invariant == audited.invariant) {
            Some(known) => {
                known.findings.extend(audited.findings);
                known.violations += audited.violations;
            }
            None => evaluations.push(audited),
        }
    }
    evaluations.sort_by_key(|evaluation| evaluation.invariant);
}

/// Starts both servers behind their proxies, side by side.
fn start(cluster: &Cluster) -> Result<Servers> {
    let (kafka, postgres) = thread::scope(|threads| {
        let kafka = threads.spawn(|| kafka::Server::start_behind(cluster.to_kafka.port()));
        (kafka.join(), postgres::Server::start())
    });
    let kafka = kafka.map_err(|_| anyhow!("starting Kafka panicked"))??;
    let postgres = postgres?;
    cluster.to_kafka.forward_to(kafka.port());
    cluster.to_postgres.forward_to(postgres.port());
    Ok(Servers { kafka, postgres, small_disk: None, wall_clock: None })
}
