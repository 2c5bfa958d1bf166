//! The service as in production, on one machine: several replicas, their peer services, and a proxy in front
//! of each server.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::{DateTime, Utc};

use testbed::{
    Proxy,
    bos::{self, Server},
};

use crate::{
    history::{Facts, Op, Outcome},
    http::Client,
    load::Run,
    nemesis::WORKER,
    server::{Death, READY_DEADLINE, STOP_DEADLINE},
};

pub(crate) const REPLICAS: usize = 3;

/// Times are shortened by configuration only. Faults last longer than a lease, a session and a message
/// time-out, and a phase whose results are lost times out within the run.
const SETTINGS: [&str; 13] = [
    "lease_ttl=3s",
    "lease_renewal=500ms",
    "kafka_message_timeout=1500ms",
    "kafka_session_timeout=3s",
    "content_timeout=2s",
    "content_connect_timeout=1s",
    "retry_max_delay=2s",
    "start_timeout=2s",
    "phase_timeout=15s",
    "outcome_grace=3s",
    // A command that the lifecycle service forgets is sent again well before the phase times out.
    "command_resend_after=4s",
    // A flood reaches this limit at once, and its backlog is processed soon.
    "max_staged_size=1MiB",
    "log_level=debug",
];

/// The injected faults of the companions while there are faults.
const MISBEHAVIOUR: [&str; 10] = [
    "--fail-rate=0.03",
    "--silent-rate=0.02",
    "--forget-rate=0.1",
    "--duplicate-rate=0.05",
    "--reorder",
    "--delay=10ms",
    "--set",
    "kafka_message_timeout=3s",
    "--set",
    "kafka_session_timeout=3s",
];

/// The behaviour of the companions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Without injected faults.
    Correct,
    /// With the faults of [`MISBEHAVIOUR`].
    Faulty,
    /// Also with errors in half of the Content Service's answers.
    Flaky,
}

const POLL: Duration = Duration::from_millis(10);

/// The running processes, shared by the threads that inject faults. Each process has its own lock, held
/// briefly.
pub(crate) struct Cluster {
    bos: PathBuf,
    out: PathBuf,
    pub(crate) to_kafka: Proxy,
    pub(crate) to_postgres: Proxy,
    pub(crate) to_content: Proxy,
    content_port: u16,
    pub(crate) addresses: [SocketAddr; REPLICAS],
    replicas: [Mutex<Option<Server>>; REPLICAS],
    companions: Mutex<Option<Server>>,
    /// The number of pauses plus the number of resumes of replicas; odd while a replica is paused.
    freezes: AtomicUsize,
}

impl Cluster {
    /// A cluster without processes. `out` is the folder of logs and of the companions' data.
    pub(crate) fn new(bos: &Path, out: &Path) -> Result<Self> {
        let [content_port, ports @ ..] = testbed::port::free::<{ REPLICAS + 1 }>()?;
        let to_content = Proxy::listen()?;
        to_content.forward_to(content_port);
        Ok(Self {
            bos: bos.to_owned(),
            out: out.to_owned(),
            to_kafka: Proxy::listen()?,
            to_postgres: Proxy::listen()?,
            to_content,
            content_port,
            addresses: ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            replicas: Default::default(),
            companions: Mutex::default(),
            freezes: AtomicUsize::new(0),
        })
    }

    /// Creates tables and topics, as an operator does.
    pub(crate) fn prepare(&self) -> Result<()> {
        for words in [["migrate", "up"], ["topics", "create"]] {
            let output = self.command().args(words).output().context("starting the service's program")?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "`bos {}` failed: {stderr}", words.join(" "));
        }
        Ok(())
    }

    /// Whether `bos audit` finds no violation while the service works. Its output is kept in `audit.txt`.
    pub(crate) fn audit(&self) -> Result<bool> {
        let output = self.command().arg("audit").output().context("starting `bos audit`")?;
        fs::write(self.out.join("audit.txt"), [output.stdout, output.stderr].concat())?;
        Ok(output.status.success())
    }

    /// A command of `bos` that connects through the proxies.
    fn command(&self) -> Command {
        let mut command = bos::command(&self.bos, &self.out.join("data"));
        let [postgres, kafka, content] =
            [&self.to_postgres, &self.to_kafka, &self.to_content].map(Proxy::port);
        command.env("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{postgres}/postgres"));
        command.env("KAFKA_BOOTSTRAP_SERVERS", format!("127.0.0.1:{kafka}"));
        command.env("CONTENT_SERVICE_URL", format!("http://127.0.0.1:{content}/v1/content"));
        command.env("ELS_URL", format!("http://127.0.0.1:{content}"));
        command
    }

    /// The log file of a replica.
    pub(crate) fn log(&self, replica: usize) -> PathBuf {
        self.out.join(format!("replica-{replica}.log"))
    }

    /// Starts a replica, which crashes at `crash_at` if given, and does not wait for it.
    pub(crate) fn start(&self, run: &Run, replica: usize, crash_at: Option<&str>) -> Result<()> {
        self.start_with(run, replica, |command| {
            if let Some(crash_at) = crash_at {
                command.args(["--crash-at", crash_at]);
            }
        })
    }

    /// Starts a replica with a changed command, and does not wait for it.
    pub(crate) fn start_with(
        &self,
        run: &Run,
        replica: usize,
        arrange: impl FnOnce(&mut Command),
    ) -> Result<()> {
        let mut command = self.command();
        let address = self.address(replica)?;
        arrange(bos::serve(&mut command, address.port(), &SETTINGS));
        if let Some(replica) = run.replicas.get(replica) {
            replica.life.fetch_add(1, Ordering::Relaxed);
        }
        *self.replica(replica)? = Some(Server::spawn(&mut command, address, &self.log(replica))?);
        Ok(())
    }

    /// Waits until a replica is ready or has ended. `None`: it is ready.
    pub(crate) fn ready(&self, run: &Run, replica: usize) -> Result<Option<Death>> {
        let start = run.history.begin(WORKER + replica, Op::Start, Facts::default())?;
        let begun = Instant::now();
        let death = loop {
            let death = self.death(replica)?;
            if death.is_some() {
                break death;
            }
            if bos::is_ready(self.address(replica)?) {
                break None;
            }
            ensure!(begun.elapsed() < READY_DEADLINE, "a replica is not ready after {READY_DEADLINE:?}");
            thread::sleep(POLL);
        };
        let outcome = if death.is_none() { Outcome::Ok } else { Outcome::Info };
        run.history.end(start, outcome, Facts::default())?;
        Ok(death)
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) fn start_well(&self, run: &Run, replica: usize) -> Result<()> {
        self.start(run, replica, None)?;
        self.ready_well(run, replica)
    }

    /// Waits until a replica that was started is ready.
    pub(crate) fn ready_well(&self, run: &Run, replica: usize) -> Result<()> {
        match self.ready(run, replica)? {
            None => Ok(()),
            Some(death) => bail!("replica {replica} did not start: {death:?}; see its log"),
        }
    }

    /// Kills a replica, if it runs.
    pub(crate) fn kill(&self, run: &Run, replica: usize) -> Result<()> {
        let kill = run.history.begin(WORKER + replica, Op::Kill, Facts::default())?;
        if let Some(mut server) = self.replica(replica)?.take() {
            server.kill()?;
        }
        run.history.end(kill, Outcome::Ok, Facts::default())
    }

    /// How a replica has ended, if it has.
    pub(crate) fn death(&self, replica: usize) -> Result<Option<Death>> {
        let mut slot = self.replica(replica)?;
        match slot.as_mut() {
            Some(server) => Ok(server.ended()?.map(Death::from)),
            None => Ok(Some(Death::Killed)),
        }
    }

    /// The process id of a replica.
    pub(crate) fn process(&self, replica: usize) -> Result<u32> {
        self.with(replica, |server| Ok(server.id()))
    }

    /// Pauses a replica with SIGSTOP.
    pub(crate) fn pause(&self, replica: usize) -> Result<()> {
        self.freezes.fetch_add(1, Ordering::SeqCst);
        self.with(replica, Server::pause)
    }

    /// Resumes a paused replica.
    pub(crate) fn resume(&self, replica: usize) -> Result<()> {
        let resumed = self.with(replica, Server::resume);
        self.freezes.fetch_add(1, Ordering::SeqCst);
        resumed
    }

    /// A number that is odd while a replica is paused, and that every pause changes.
    pub(crate) fn freezes(&self) -> usize {
        self.freezes.load(Ordering::SeqCst)
    }

    /// Calls `work` with the process of a running replica.
    fn with<T>(&self, replica: usize, work: impl FnOnce(&mut Server) -> Result<T>) -> Result<T> {
        let mut slot = self.replica(replica)?;
        work(slot.as_mut().context("the replica does not run")?)
    }

    /// Stops a replica with SIGTERM.
    pub(crate) fn stop_one(&self, replica: usize) -> Result<()> {
        self.replica(replica)?.take().map_or(Ok(()), |server| server.stop(STOP_DEADLINE))
    }

    /// Stops every replica with SIGTERM.
    pub(crate) fn stop(&self) -> Result<()> {
        for slot in &self.replicas {
            if let Some(server) = lock(slot).take() {
                server.stop(STOP_DEADLINE)?;
            }
        }
        Ok(())
    }

    /// Starts the companions on their data, after killing those that run.
    pub(crate) fn start_companions(&self, seed: u64, behaviour: Behaviour) -> Result<()> {
        let mut slot = lock(&self.companions);
        if let Some(mut running) = slot.take() {
            running.kill()?;
        }
        let mut command = self.command();
        command.env_remove("DATABASE_URL").env_remove("CONTENT_SERVICE_URL");
        command.arg("companions").args(["--content-port", &self.content_port.to_string()]);
        command.arg("--seed").arg(seed.to_string()).arg("--data-dir").arg("companions");
        if behaviour != Behaviour::Correct {
            command.args(MISBEHAVIOUR);
        }
        if behaviour == Behaviour::Flaky {
            command.arg("--content-fail-rate=0.5");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.content_port));
        let mut server = Server::spawn(&mut command, address, &self.out.join("companions.log"))?;
        if let Some(status) = server.listens(READY_DEADLINE)? {
            bail!("the companions did not start ({status}); see companions.log");
        }
        *slot = Some(server);
        Ok(())
    }

    /// The time in a replica's `Date` header.
    pub(crate) fn time_of(&self, replica: usize) -> Result<DateTime<Utc>> {
        let answer = Client::new([self.address(replica)?]).get("/healthz");
        let answer = answer.map_err(|_| anyhow!("a replica does not answer"))?;
        answer.date.context("an answer without a date")
    }

    /// Requests a missing text `times` times from the Content Service; returns how many answers were injected
    /// errors.
    pub(crate) fn content_errors(&self, times: usize) -> Result<usize> {
        let mut client = Client::new([SocketAddr::from((Ipv4Addr::LOCALHOST, self.content_port))]);
        let answers = (0..times).map(|_| client.get("/v1/content/none"));
        let answers = answers
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| anyhow!("the Content Service does not answer"))?;
        Ok(answers.iter().filter(|answer| answer.status == 503).count())
    }

    /// Kills the companions.
    pub(crate) fn kill_companions(&self) -> Result<()> {
        lock(&self.companions).take().map_or(Ok(()), |mut server| server.kill())
    }

    fn address(&self, replica: usize) -> Result<SocketAddr> {
        self.addresses.get(replica).copied().context("no such replica")
    }

    fn replica(&self, replica: usize) -> Result<MutexGuard<'_, Option<Server>>> {
        self.replicas.get(replica).map(lock).context("no such replica")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
