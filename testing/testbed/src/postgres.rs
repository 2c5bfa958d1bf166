//! A `PostgreSQL` for one run: the developer's own, or one that is started here and gone afterwards.
//!
//! A started server is as careful as a production server (`fsync` and `synchronous_commit` are on), because durability
//! is among the things tested and a benchmark without it says nothing.

pub(crate) mod account;
mod binaries;
mod standby;
#[cfg(test)]
mod tests;

use std::{
    fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use crate::{
    given, port, process,
    server::{self, Process},
    small_disk::{MEGABYTES, SmallDisk},
};
use binaries::Binaries;

/// The variable that names the database for tests: read here when a developer gives one, set for the tests.
pub const URL_VARIABLE: &str = "BOS_TEST_DATABASE_URL";

/// How long the processes of a killed server may hold its memory.
const RELEASE_DEADLINE: Duration = Duration::from_secs(30);
const RELEASE_POLL: Duration = Duration::from_millis(50);

/// A `PostgreSQL` that answers; its user may create databases.
pub struct Postgres {
    url: String,
    server: Option<Server>,
}

impl Postgres {
    /// Sees to it that [`Postgres::start`] finds what it needs, which may be fetched. Fails with what to install.
    pub fn prepare() -> Result<()> {
        if given(URL_VARIABLE).is_none() {
            Binaries::find()?;
        }
        Ok(())
    }

    /// Takes the server named by [`URL_VARIABLE`], or starts one.
    pub fn start() -> Result<Self> {
        if let Some(url) = given(URL_VARIABLE) {
            return Ok(Self { url, server: None });
        }
        let server = Server::start()?;
        Ok(Self { url: server.url(), server: Some(server) })
    }

    /// `postgres://…` with user, address and database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of the started server's programs. Debian's holds `psql` and `pgbench` too, Maven's does not.
    pub fn bin_dir(&self) -> Option<&Path> {
        self.server.as_ref().map(Server::bin_dir)
    }

    /// Fails once a server that was started here has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::check)
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{} of {}", server.binaries.version, server.bin_dir().display()),
            // Not its address, which may hold a password.
            None => write!(f, "nothing, PostgreSQL is the one of {URL_VARIABLE}"),
        }
    }
}

/// A `PostgreSQL` that is started here, and takes faults.
pub struct Server {
    process: Process,
    port: u16,
    binaries: Binaries,
    folder: TempDir,
}

impl Server {
    /// Starts a server with empty data, from the newest binaries on the machine, or from Maven's. Fails with what to
    /// install when there is none.
    pub fn start() -> Result<Self> {
        Self::of(Binaries::find()?)
    }

    fn of(binaries: Binaries) -> Result<Self> {
        let folder = account::folder()?;
        let mut initdb = binaries.program("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        initdb.arg("--pgdata").arg(data(folder.path()));
        server::run_first("initdb", &mut initdb, &server::log_file(folder.path()))?;

        let [port] = port::free()?;
        let process = launch(&binaries, folder.path(), port)?;
        let mut server = Self { process, port, binaries, folder };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The port of the loopback address where it listens, also after [`Server::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://…` with user, address and database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The folder of its programs. Debian's holds `psql` and `pgbench` too, Maven's does not.
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.folder
    }

    /// Fails once the server has ended, and says what it said last.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// A disk of so many megabytes for tables of this server; none where nothing may be mounted.
    pub fn small_disk(&self, megabytes: u32) -> Result<Option<SmallDisk>> {
        SmallDisk::mount(self.folder.path().join("small"), megabytes)
    }

    /// Has the server keep its write-ahead log on a disk of some megabytes, and restarts it; none where nothing may be
    /// mounted.
    pub fn log_on_small_disk(&mut self) -> Result<Option<SmallDisk>> {
        let Some(disk) = self.small_disk(MEGABYTES)? else { return Ok(None) };
        self.process.end(Signal::INT)?;
        let log = data(self.folder.path()).join("pg_wal");
        let mut copy = account::command(Path::new("cp"));
        let copied = process::run(copy.arg("-Rp").arg(log.join(".")).arg(disk.folder()))?;
        ensure!(copied.success(), "copying PostgreSQL's log failed ({copied})");
        fs::remove_dir_all(&log).context("removing PostgreSQL's log from its place")?;
        symlink(disk.folder(), &log).context("leading PostgreSQL to its log")?;
        self.restart()?;
        Ok(Some(disk))
    }

    /// Stops the server as `pg_ctl stop -m immediate` does: every connection is cut, and the next start recovers from
    /// the write-ahead log.
    pub fn stop_immediately(&mut self) -> Result<()> {
        self.process.end(Signal::QUIT)
    }

    /// Kills every process of the server at once.
    pub fn kill(&mut self) -> Result<()> {
        let backends = server::children(self.process.id());
        self.process.kill()?;
        for backend in backends {
            // They end by themselves when their parent does; which of them is faster does not matter.
            let _ = kill_process(backend, Signal::KILL);
        }
        Ok(())
    }

    /// Starts a server that follows this one and has everything that this one acknowledges from now on. This one is stopped
    /// meanwhile, and started again.
    pub fn standby(&mut self) -> Result<Self> {
        standby::of(self)
    }

    /// Has a standby take over.
    pub fn promote(&self) -> Result<()> {
        standby::promote(self)
    }

    /// Freezes every process of the server: connections stay open and nobody answers. Needs Linux, where the processes
    /// can be listed.
    pub fn pause(&mut self) -> Result<()> {
        // The parent first: it must not start another one meanwhile.
        self.process.freeze()?;
        let backends = server::children(self.process.id());
        ensure!(!backends.is_empty(), "this system does not list the processes of PostgreSQL");
        for backend in backends {
            let _ = kill_process(backend, Signal::STOP);
        }
        Ok(())
    }

    /// Lets a frozen server go on.
    pub fn resume(&mut self) -> Result<()> {
        for backend in server::children(self.process.id()) {
            let _ = kill_process(backend, Signal::CONT);
        }
        self.process.thaw()
    }

    /// Starts the server again on its data and its port, and waits until it answers; one that still runs is stopped
    /// immediately.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.check().is_ok() {
            self.stop_immediately()?;
        }
        let begun = Instant::now();
        loop {
            self.process = launch(&self.binaries, self.folder.path(), self.port)?;
            let Err(error) = self.wait_until_ready() else { return Ok(()) };
            // A backend of the killed server is not gone yet.
            let held = self.process.said().contains("pre-existing shared memory block");
            if !held || begun.elapsed() > RELEASE_DEADLINE {
                return Err(error);
            }
            thread::sleep(RELEASE_POLL);
        }
    }

    /// The last line of `postmaster.pid` says `ready`, which is what `pg_ctl start --wait` waits for, and the first line
    /// names this process: a killed server leaves the file.
    fn wait_until_ready(&mut self) -> Result<()> {
        let file = data(self.folder.path()).join("postmaster.pid");
        self.process
            .wait_until(|process| fs::read_to_string(&file).is_ok_and(|text| is_ready(&text, process.id())))
    }
}

impl Drop for Server {
    /// An immediate shutdown, since the data goes too; the process is killed if it does not obey. Errors cannot matter
    /// here.
    fn drop(&mut self) {
        let _ = self.resume();
        let _ = self.stop_immediately();
    }
}

fn launch(binaries: &Binaries, folder: &Path, port: u16) -> Result<Process> {
    let mut postgres = binaries.program("postgres");
    postgres.arg("-D").arg(data(folder)).arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "fsync=on",
        "synchronous_commit=on",
    ] {
        postgres.args(["-c", setting]);
    }
    Process::start("postgres", &mut postgres, &server::log_file(folder))
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn is_ready(postmaster_pid: &str, id: u32) -> bool {
    let line = |number| postmaster_pid.lines().nth(number).map(str::trim);
    line(0) == Some(&id.to_string()) && line(7) == Some("ready")
}
