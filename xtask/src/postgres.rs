//! A `PostgreSQL` for one run: the developer's own, or one that is started here and gone afterwards.
//!
//! A started server listens on a free port of the loopback address and keeps its data in a folder of its own under the
//! target folder. It is as careful as a production server (`fsync` and `synchronous_commit` are on), because durability
//! is among the things tested and a benchmark without it says nothing. Dropping the value ends the server and removes
//! the folder, whether the run ended well, by an error, by a panic or by a signal.

mod account;
mod binaries;

use std::{
    env, fmt,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process;
use binaries::Binaries;

/// The variable that names the database for tests: read here when a developer gives one, set for the tests.
pub(crate) const URL_VARIABLE: &str = "BOS_TEST_DATABASE_URL";

const READY_DEADLINE: Duration = Duration::from_mins(1);
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// A `PostgreSQL` that answers; its user may create databases.
pub(crate) struct Postgres {
    /// `postgres://…` with user, address and database.
    pub(crate) url: String,
    server: Option<Server>,
}

impl Postgres {
    /// Takes the server named by [`URL_VARIABLE`], or starts one from the newest binaries on the machine, or from
    /// Maven's. Fails with what to install when there is none.
    pub(crate) fn start() -> Result<Self> {
        if let Some(url) = given() {
            return Ok(Self { url, server: None });
        }
        let binaries = Binaries::find()?;
        let server = Server::start(binaries)?;
        Ok(Self {
            url: format!("postgres://postgres@127.0.0.1:{}/postgres", server.port),
            server: Some(server),
        })
    }

    /// The folder of the started server's programs. Debian's holds `psql` and `pgbench` too, Maven's does not.
    pub(crate) fn bin_dir(&self) -> Option<&Path> {
        Some(&self.server.as_ref()?.binaries.folder)
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.server, self.bin_dir()) {
            (Some(server), Some(folder)) => write!(f, "{} of {}", server.binaries.version, folder.display()),
            // Not its address, which may hold a password.
            _ => write!(f, "nothing, PostgreSQL is the one of {URL_VARIABLE}"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer's word to this task, not configuration of the service"
)]
fn given() -> Option<String> {
    env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty())
}

struct Server {
    child: Child,
    port: u16,
    binaries: Binaries,
    folder: TempDir,
}

impl Server {
    fn start(binaries: Binaries) -> Result<Self> {
        let folder = account::folder()?;
        let mut initdb = binaries.program("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        initdb.arg("--pgdata").arg(data(&folder));
        let status = process::run(logged(&mut initdb, &folder)?)?;
        ensure!(status.success(), "initdb failed ({status})\n{}", log(&folder));

        let port = free_port()?;
        let mut postgres = binaries.program("postgres");
        postgres.arg("-D").arg(data(&folder)).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "fsync=on",
            "synchronous_commit=on",
        ] {
            postgres.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C in a terminal is for the run, which then ends the server in order.
        let child = logged(&mut postgres, &folder)?.process_group(0).spawn().context("starting postgres")?;
        let mut server = Self { child, port, binaries, folder };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The last line of `postmaster.pid` says `ready`: what `pg_ctl start --wait` waits for.
    fn wait_until_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        let state = data(&self.folder).join("postmaster.pid");
        while !fs::read_to_string(&state)
            .is_ok_and(|lines| lines.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
        {
            process::check_interrupted()?;
            if let Some(status) = self.child.try_wait()? {
                bail!("postgres ended before it was ready ({status})\n{}", log(&self.folder));
            }
            if begun.elapsed() > READY_DEADLINE {
                bail!("postgres is not ready after {} s\n{}", READY_DEADLINE.as_secs(), log(&self.folder));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    /// An immediate shutdown, since the data goes too; a server that does not obey is killed. Errors cannot matter here.
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > STOP_DEADLINE {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            thread::sleep(POLL);
        }
    }
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

fn logged<'a>(command: &'a mut Command, folder: &TempDir) -> Result<&'a mut Command> {
    let log = File::options().create(true).append(true).open(log_file(folder)).context("opening the log")?;
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

fn log(folder: &TempDir) -> String {
    fs::read_to_string(log_file(folder)).unwrap_or_default()
}

/// A port that nobody listens on just now; the server takes it a moment later.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpStream, panic, sync::mpsc};

    use super::*;

    /// The convention of [`crate::left_out`].
    fn left_out(name: &str, line: &str) {
        writeln!(std::io::stderr(), "left out: {line}").unwrap();
        if let Some(folder) = env::var_os(crate::left_out::VARIABLE) {
            fs::write(Path::new(&folder).join(name), line).unwrap();
        }
    }

    #[test]
    fn a_panic_ends_the_server_and_removes_its_folder() {
        if binaries::on_machine().is_none() {
            return left_out("postgres-of-the-machine", "a server's end by a panic: install postgresql");
        }
        let (tell, told) = mpsc::channel();
        let run = thread::spawn(move || {
            let server = Server::start(Binaries::find().unwrap()).unwrap();
            TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
            assert!(data(&server.folder).is_dir());
            tell.send((server.port, server.folder.path().to_path_buf())).unwrap();
            panic::resume_unwind(Box::new("the run panics"));
        });
        run.join().unwrap_err();
        let (port, folder) = told.recv().expect("the server was ready");
        assert!(!folder.exists());
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
    }
}
