//! A `PostgreSQL` for one run: the developer's own, or one that is started here and removed after the run.
//!
//! A started server is as durable as in production (`fsync` and `synchronous_commit` are on), because durability is tested, and
//! benchmarks without it are meaningless.

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
    account, given, port, process,
    server::{self, Process},
    small_disk::{MEGABYTES, SmallDisk},
};
use binaries::Binaries;

/// The variable with the URL of the database for tests. It is read if a developer sets it, and set for the tests.
pub const URL_VARIABLE: &str = "BOS_TEST_DATABASE_URL";

/// The time in which the processes of a killed server must release its shared memory; chosen.
const RELEASE_DEADLINE: Duration = Duration::from_secs(30);
/// The pause between two attempts to start meanwhile.
const RELEASE_POLL: Duration = Duration::from_millis(50);

/// A running `PostgreSQL`, whose user may create databases.
pub struct Postgres {
    url: String,
    server: Option<Server>,
}

impl Postgres {
    /// Downloads what [`Postgres::start`] needs and the machine does not have.
    ///
    /// # Errors
    /// The text says what to install.
    pub fn prepare() -> Result<()> {
        if given(URL_VARIABLE).is_none() {
            Binaries::find()?;
        }
        Ok(())
    }

    /// Uses the server that [`URL_VARIABLE`] names, or starts one.
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

    /// The folder of the started server's programs. Debian's contains `psql` and `pgbench` too, Maven's does not.
    pub fn bin_dir(&self) -> Option<&Path> {
        self.server.as_ref().map(Server::bin_dir)
    }

    /// Fails if a server that was started here has ended on its own.
    pub fn check(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::check)
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{} of {}", server.binaries.version, server.bin_dir().display()),
            // Without its address, which may contain a password.
            None => write!(f, "no server, because {URL_VARIABLE} names a PostgreSQL"),
        }
    }
}

/// A `PostgreSQL` that is started here and supports faults.
pub struct Server {
    process: Process,
    port: u16,
    binaries: Binaries,
    folder: TempDir,
}

impl Server {
    /// Starts a server with empty data, from the newest programs on the machine or from Maven's.
    ///
    /// # Errors
    /// The server did not start. If there are no programs, the text says what to install.
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

    /// The port on which it listens, on the loopback address. It stays the same after [`Server::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://…` with user, address and database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The folder of its programs. Debian's contains `psql` and `pgbench` too, Maven's does not.
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.folder
    }

    /// Fails if the server has ended, with the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// Mounts a disk of this size for tables of the server; `None` if this account may not mount.
    pub fn small_disk(&self, megabytes: u32) -> Result<Option<SmallDisk>> {
        SmallDisk::mount(self.folder.path().join("small"), megabytes)
    }

    /// Moves the write-ahead log to a small disk (96 MB), and restarts the server; `None` if this account may not mount.
    pub fn log_on_small_disk(&mut self) -> Result<Option<SmallDisk>> {
        let Some(disk) = self.small_disk(MEGABYTES)? else { return Ok(None) };
        self.process.end(Signal::INT)?;
        let log = data(self.folder.path()).join("pg_wal");
        let mut copy = account::command(Path::new("cp"));
        let copied = process::run(copy.arg("-Rp").arg(log.join(".")).arg(disk.folder()))?;
        ensure!(copied.success(), "copying PostgreSQL's write-ahead log failed ({copied})");
        fs::remove_dir_all(&log).context("removing PostgreSQL's write-ahead log")?;
        symlink(disk.folder(), &log).context("linking PostgreSQL's write-ahead log")?;
        self.restart()?;
        Ok(Some(disk))
    }

    /// Stops the server like `pg_ctl stop -m immediate`: every connection breaks, and the next start recovers from the
    /// write-ahead log.
    pub fn stop_immediately(&mut self) -> Result<()> {
        self.process.end(Signal::QUIT)
    }

    /// Kills every process of the server at once.
    pub fn kill(&mut self) -> Result<()> {
        let backends = server::children(self.process.id());
        self.process.kill()?;
        for backend in backends {
            // An error means that it has already ended, because backends end when their parent does.
            let _ = kill_process(backend, Signal::KILL);
        }
        Ok(())
    }

    /// Starts a synchronous standby of this server, which has everything that this server acknowledges from then on. This server
    /// is restarted for it.
    pub fn standby(&mut self) -> Result<Self> {
        standby::of(self)
    }

    /// Promotes a standby to primary.
    pub fn promote(&self) -> Result<()> {
        standby::promote(self)
    }

    /// Freezes every process of the server: connections stay open and get no answer. Needs Linux, which lists the processes.
    pub fn pause(&mut self) -> Result<()> {
        // The parent first, because it must not start another backend meanwhile.
        self.process.freeze()?;
        let backends = server::children(self.process.id());
        ensure!(!backends.is_empty(), "this system does not list the processes of PostgreSQL");
        for backend in backends {
            let _ = kill_process(backend, Signal::STOP);
        }
        Ok(())
    }

    /// Resumes a frozen server.
    pub fn resume(&mut self) -> Result<()> {
        for backend in server::children(self.process.id()) {
            let _ = kill_process(backend, Signal::CONT);
        }
        self.process.thaw()
    }

    /// Restarts the server on the same data and port, and waits until it is ready. A running server is stopped immediately.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.check().is_ok() {
            self.stop_immediately()?;
        }
        let begun = Instant::now();
        loop {
            self.process = launch(&self.binaries, self.folder.path(), self.port)?;
            let Err(error) = self.wait_until_ready() else { return Ok(()) };
            // A backend of the killed server has not ended yet.
            let held = self.process.log_tail().contains("pre-existing shared memory block");
            if !held || begun.elapsed() > RELEASE_DEADLINE {
                return Err(error);
            }
            thread::sleep(RELEASE_POLL);
        }
    }

    /// Waits until the last line of `postmaster.pid` is `ready`, like `pg_ctl start --wait`. The first line must be this process,
    /// because a killed server leaves the file.
    fn wait_until_ready(&mut self) -> Result<()> {
        let file = data(self.folder.path()).join("postmaster.pid");
        self.process
            .wait_until(|process| fs::read_to_string(&file).is_ok_and(|text| is_ready(&text, process.id())))
    }
}

impl Drop for Server {
    /// Shuts down immediately, because the data is removed too; a process that does not obey is killed. Ignores errors, which
    /// cannot be reported here.
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
