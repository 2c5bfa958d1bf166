//! The service as it runs in production, on one machine: several replicas, their neighbours, and a proxy before each server
//! that they need.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
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

use testbed::Proxy;

use crate::{
    history::{Facts, Op, Outcome},
    http::Client,
    load::Run,
    nemesis::WORKER,
    server::{Death, Server, program},
};

pub(crate) const REPLICAS: usize = 3;

/// Times are shortened by configuration alone. Faults last longer than a lease, a session and a message's time-out, and a
/// phase whose news was lost ends within the run.
const SETTINGS: [&str; 12] = [
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
    // A flood meets the limit at once, and what it leaves is done before long.
    "max_staged_size=1MiB",
    "log_level=debug",
];

/// How the neighbours behave while there are faults.
const MISBEHAVIOUR: [&str; 9] = [
    "--fail-rate=0.03",
    "--silent-rate=0.02",
    "--duplicate-rate=0.05",
    "--reorder",
    "--delay=10ms",
    "--set",
    "kafka_message_timeout=3s",
    "--set",
    "kafka_session_timeout=3s",
];

/// How the neighbours behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// As they should.
    Good,
    /// As [`MISBEHAVIOUR`] says.
    Bad,
    /// Besides, half of the answers of the Content Service are errors.
    Flaky,
}

/// Far more than a start takes on a machine that does much else.
const READY_DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);

/// What runs, shared by those who break it. Each process has its own lock, held for a moment.
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
    /// How often a replica was frozen, and how often one went on: while it is odd, somebody is.
    freezes: AtomicUsize,
}

impl Cluster {
    /// Nothing runs yet. `out` is for logs and the neighbours' data.
    pub(crate) fn new(bos: &Path, out: &Path) -> Result<Self> {
        let [content_port, ports @ ..] = testbed::port::free::<{ REPLICAS + 1 }>()?;
        let to_content = Proxy::listen()?;
        to_content.pass_on_to(content_port);
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

    /// Makes tables and topics, as an operator does once.
    pub(crate) fn prepare(&self) -> Result<()> {
        for words in [["migrate", "up"], ["topics", "create"]] {
            let output = self.command().args(words).output().context("starting the service's program")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "`bos {}` failed: {said}", words.join(" "));
        }
        Ok(())
    }

    /// Whether `bos audit` finds nothing, while the service works; what it says is kept.
    pub(crate) fn audit(&self) -> Result<bool> {
        let output = self.command().arg("audit").output().context("starting `bos audit`")?;
        fs::write(self.out.join("audit.txt"), [output.stdout, output.stderr].concat())?;
        Ok(output.status.success())
    }

    /// The service's program, told where the proxies are.
    fn command(&self) -> Command {
        let mut command = program(&self.bos, &self.out.join("data"));
        let [postgres, kafka, content] =
            [&self.to_postgres, &self.to_kafka, &self.to_content].map(Proxy::port);
        command.env("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{postgres}/postgres"));
        command.env("KAFKA_BOOTSTRAP_SERVERS", format!("127.0.0.1:{kafka}"));
        command.env("CONTENT_SERVICE_URL", format!("http://127.0.0.1:{content}/v1/content"));
        command
    }

    /// The file that a replica writes its log to.
    pub(crate) fn log(&self, replica: usize) -> PathBuf {
        self.out.join(format!("replica-{replica}.log"))
    }

    /// Starts a replica, to crash at `crash_at` if there is one, and does not wait for it.
    pub(crate) fn start(&self, run: &Run, replica: usize, crash_at: Option<&str>) -> Result<()> {
        self.start_with(run, replica, |command| {
            if let Some(crash_at) = crash_at {
                command.args(["--crash-at", crash_at]);
            }
        })
    }

    /// Starts a replica in a way of its own, and does not wait for it.
    pub(crate) fn start_with(
        &self,
        run: &Run,
        replica: usize,
        arrange: impl FnOnce(&mut Command),
    ) -> Result<()> {
        let mut command = self.command();
        let address = self.address(replica)?;
        command.arg("serve").arg("--port").arg(address.port().to_string());
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        arrange(&mut command);
        if let Some(replica) = run.replicas.get(replica) {
            replica.life.fetch_add(1, Ordering::Relaxed);
        }
        *self.replica(replica)? = Some(Server::start(&mut command, &self.log(replica), address)?);
        Ok(())
    }

    /// Waits until a replica is ready or has ended. None: it is ready.
    pub(crate) fn ready(&self, run: &Run, replica: usize) -> Result<Option<Death>> {
        let start = run.history.begin(WORKER + replica, Op::Start, Facts::default())?;
        let begun = Instant::now();
        let death = loop {
            let death = self.death(replica)?;
            if death.is_some() {
                break death;
            }
            let mut client = Client::new([self.address(replica)?]);
            if client.get("/readyz").is_ok_and(|answer| answer.status == 200) {
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

    /// How a replica ended by itself, if it has.
    pub(crate) fn death(&self, replica: usize) -> Result<Option<Death>> {
        let mut slot = self.replica(replica)?;
        match slot.as_mut() {
            Some(server) => server.death(),
            None => Ok(Some(Death::Killed)),
        }
    }

    /// The number of a replica's process.
    pub(crate) fn process(&self, replica: usize) -> Result<u32> {
        self.with(replica, |server| Ok(server.id()))
    }

    /// Freezes a replica.
    pub(crate) fn pause(&self, replica: usize) -> Result<()> {
        self.freezes.fetch_add(1, Ordering::SeqCst);
        self.with(replica, Server::pause)
    }

    /// Lets a frozen replica go on.
    pub(crate) fn resume(&self, replica: usize) -> Result<()> {
        let resumed = self.with(replica, Server::resume);
        self.freezes.fetch_add(1, Ordering::SeqCst);
        resumed
    }

    /// A number that is odd while a replica is frozen, and another one after each freeze.
    pub(crate) fn freezes(&self) -> usize {
        self.freezes.load(Ordering::SeqCst)
    }

    /// Does something to the process of a replica that runs.
    fn with<T>(&self, replica: usize, work: impl FnOnce(&mut Server) -> Result<T>) -> Result<T> {
        let mut slot = self.replica(replica)?;
        work(slot.as_mut().context("the replica does not run")?)
    }

    /// Stops a replica in order.
    pub(crate) fn stop_one(&self, replica: usize) -> Result<()> {
        self.replica(replica)?.take().map_or(Ok(()), Server::stop)
    }

    /// Stops every replica in order.
    pub(crate) fn stop(&self) -> Result<()> {
        for slot in &self.replicas {
            if let Some(server) = lock(slot).take() {
                server.stop()?;
            }
        }
        Ok(())
    }

    /// Starts the neighbours on their data, after killing those that run.
    pub(crate) fn start_companions(&self, seed: u64, manners: Manners) -> Result<()> {
        let mut slot = lock(&self.companions);
        if let Some(mut running) = slot.take() {
            running.kill()?;
        }
        let mut command = self.command();
        command.env_remove("DATABASE_URL").env_remove("CONTENT_SERVICE_URL");
        command.arg("companions").args(["--content-port", &self.content_port.to_string()]);
        command.arg("--seed").arg(seed.to_string()).arg("--data-dir").arg("companions");
        if manners != Manners::Good {
            command.args(MISBEHAVIOUR);
        }
        if manners == Manners::Flaky {
            command.arg("--content-fail-rate=0.5");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.content_port));
        let mut server = Server::start(&mut command, &self.out.join("companions.log"), address)?;
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(death) = server.death()? {
                bail!("the companions did not start: {death:?}; see companions.log");
            }
            ensure!(begun.elapsed() < READY_DEADLINE, "the companions do not listen");
            thread::sleep(POLL);
        }
        *slot = Some(server);
        Ok(())
    }

    /// What a replica says the time is.
    pub(crate) fn time_of(&self, replica: usize) -> Result<DateTime<Utc>> {
        let answer = Client::new([self.address(replica)?]).get("/healthz");
        let answer = answer.map_err(|_| anyhow!("a replica does not answer"))?;
        answer.date.context("an answer without a date")
    }

    /// Asks the Content Service so often for a text that is not there, and says how many of the answers were errors of its own.
    pub(crate) fn content_errors(&self, times: usize) -> Result<usize> {
        let mut client = Client::new([SocketAddr::from((Ipv4Addr::LOCALHOST, self.content_port))]);
        let answers = (0..times).map(|_| client.get("/v1/content/none"));
        let answers =
            answers.collect::<Result<Vec<_>, _>>().map_err(|_| anyhow!("the Content Service is away"))?;
        Ok(answers.iter().filter(|answer| answer.status == 503).count())
    }

    /// Kills the neighbours.
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
