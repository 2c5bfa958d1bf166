//! The service's program, `bos`, as a process of its own.
//!
//! The caller has built the program and says where it is. [`command`] gives it a clean environment, [`serve`] adds
//! the words of `bos serve`, and a [`Server`] is the running process. What serves like `bos` can be started in the
//! same way, such as `bos companions`.
//!
//! Such a process stays in the caller's process group: a signal of the terminal ends it with the run.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::{
    port,
    server::{Process, logged},
};

/// The name of the process in errors.
const NAME: &str = "the service";

/// The period of looking for a sign or for the end. A start that a benchmark measures is accurate to this.
const POLL: Duration = Duration::from_millis(1);

/// Timeouts of one request for readiness: far more than a busy machine takes (chosen).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How the last line of the banner begins.
const LAST_LINE: &str = "Try:";

/// A command of `program` in `folder`, which reads nothing. Variables of the calling shell do not configure it, and
/// neither does a `.env` of the caller's folder.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// As [`command`], with at most this many files and sockets open.
pub fn command_with_few_files(program: &Path, folder: &Path, files: u32) -> Command {
    let mut shell = command(Path::new("/bin/sh"), folder);
    shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(program);
    shell
}

/// Adds the words of `bos serve` with these settings. With port 0 the system chooses a free port.
pub fn serve<'a>(command: &'a mut Command, port: u16, settings: &[&str]) -> &'a mut Command {
    command.args(["serve", "--port", &port.to_string()]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// A loopback address on which no process listens just now; the server takes it a moment later.
///
/// # Errors
/// If no port is free.
pub fn free_address() -> Result<SocketAddr> {
    let [port] = port::free()?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// A process that serves. Dropping it kills the process.
pub struct Server {
    process: Process,
    address: SocketAddr,
    banner: Vec<String>,
    started: Instant,
    ready_after: Duration,
}

impl Server {
    /// Starts `bos serve` and waits for its banner, which names the address. Log lines go to the end of `log`, or are
    /// discarded.
    ///
    /// # Errors
    /// If the process cannot be started, or ends before the banner is complete.
    pub fn start(command: &mut Command, log: Option<&Path>) -> Result<Self> {
        let stderr = match log {
            Some(log) => {
                File::options().create(true).append(true).open(log).context("opening the log")?.into()
            }
            None => Stdio::null(),
        };
        let started = Instant::now();
        let mut process = Process::spawn(NAME, command.stdout(Stdio::piped()).stderr(stderr), log)?;
        let stdout = process.stdout().context("the banner has no pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut banner: Vec<String> = Vec::new();
        while !banner.last().is_some_and(|line| line.starts_with(LAST_LINE)) {
            let Some(line) = lines.next() else {
                bail!("{NAME} ended before it was ready\n{}", process.log_tail())
            };
            banner.push(line.context("reading the banner")?);
        }
        let ready_after = started.elapsed();
        let address = address_in(&banner).context("the banner names no address")?;
        Ok(Self { process, address, banner, started, ready_after })
    }

    /// Starts a process that will listen on `address`, and does not wait for it. Its output goes to the end of `log`.
    ///
    /// # Errors
    /// If the log cannot be opened, or the process cannot be started.
    pub fn spawn(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let command = logged(command, log)?;
        let started = Instant::now();
        let process = Process::spawn(NAME, command, Some(log))?;
        Ok(Self { process, address, banner: Vec::new(), started, ready_after: Duration::ZERO })
    }

    /// Waits until `/readyz` answers 200, or the process has ended. `None`: it is ready.
    ///
    /// # Errors
    /// If neither happens within `time`.
    pub fn ready(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        self.shows(is_ready, "ready", time)
    }

    /// As [`Server::ready`], for a process that only has to accept connections.
    ///
    /// # Errors
    /// If neither happens within `time`.
    pub fn listens(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        self.shows(|address| connect(address).is_ok(), "listening", time)
    }

    fn shows(
        &mut self,
        sign: fn(SocketAddr) -> bool,
        state: &str,
        time: Duration,
    ) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        while !sign(self.address) {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            ensure!(begun.elapsed() < time, "{NAME} is not {state} after {time:?}\n{}", self.log_tail());
            thread::sleep(POLL);
        }
        // Another process may have answered on the port.
        let ended = self.ended()?;
        self.ready_after = self.started.elapsed();
        Ok(ended)
    }

    /// The address on which it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines that `bos serve` printed until it was ready; none after [`Server::spawn`].
    pub fn banner(&self) -> &[String] {
        &self.banner
    }

    /// The time from the start of the process to the sign that it was ready; zero before.
    pub const fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The last lines of the log of this process.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// The number of open sockets; `None` where the system does not list them.
    pub fn open_sockets(&self) -> Option<usize> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id())).ok()?;
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        Some(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
    }

    /// Resident memory in KiB; `None` where the system does not report it.
    pub fn resident_kib(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// How the process has ended, if it has.
    ///
    /// # Errors
    /// If the system does not report it.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Waits at most `time` for the process to end. `None`: it still runs.
    ///
    /// # Errors
    /// If the system does not report it.
    pub fn wait(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            let ended = self.ended()?;
            if ended.is_some() || begun.elapsed() >= time {
                return Ok(ended);
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the process to stop with SIGTERM, and does not wait for it.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn terminate(&self) -> Result<()> {
        self.process.send(Signal::TERM)
    }

    /// Asks the process to stop and waits until it has.
    ///
    /// # Errors
    /// If it has not stopped after `time`, or not with exit code 0.
    pub fn stop(mut self, time: Duration) -> Result<()> {
        self.terminate()?;
        match self.wait(time)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{NAME} did not stop cleanly ({status})\n{}", self.log_tail()),
            None => bail!("{NAME} has not stopped after {time:?}\n{}", self.log_tail()),
        }
    }

    /// Kills the process with SIGKILL, if it still runs.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stops the process with SIGSTOP: its connections stay open, and it does nothing.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Continues a paused process with SIGCONT.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.process.thaw()
    }
}

/// Whether `/readyz` answers 200 on this address, over a connection of its own.
pub fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = connect(address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
}

/// The address in the first URL of a banner.
fn address_in(banner: &[String]) -> Option<SocketAddr> {
    let url = banner.iter().find_map(|line| line.split("http://").nth(1))?;
    url.split(['/', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::process::ExitStatusExt as _};

    use super::*;

    const SHELL: &str = "/bin/sh";
    const SOON: Duration = Duration::from_secs(30);

    fn script(script: &str) -> Command {
        let mut shell = command(Path::new(SHELL), Path::new("/"));
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn the_banner_gives_the_address_and_dropping_the_server_kills_it() {
        let banner =
            "echo 'bos 1'; echo '  API http://127.0.0.1:5/v1 docs http://127.0.0.1:5/docs'; echo 'Try: x'";
        let server = Server::start(&mut script(&format!("{banner}; exec sleep 600")), None).unwrap();
        assert_eq!(server.address(), "127.0.0.1:5".parse().unwrap());
        assert_eq!(server.banner().len(), 3);
        let id = rustix::process::Pid::from_raw(server.id().try_into().unwrap()).unwrap();
        drop(server);
        rustix::process::test_kill_process(id).unwrap_err();
    }

    #[test]
    fn a_server_that_ends_before_its_banner_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let started = Server::start(&mut script("echo 'bos 1'; echo why >&2; exit 2"), Some(&log));
        let error = started.err().unwrap().to_string();
        assert_eq!(error, "the service ended before it was ready\nwhy");
    }

    #[test]
    fn a_process_that_ends_before_it_is_ready_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server = Server::spawn(&mut script("kill -ABRT $$"), free_address().unwrap(), &log).unwrap();
        let ended = server.ready(SOON).unwrap().unwrap();
        assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
    }

    #[test]
    fn only_an_answer_200_is_readiness() {
        for (answer, expected) in [("HTTP/1.1 200 OK", true), ("HTTP/1.1 503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let asked = thread::spawn(move || is_ready(address));
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(format!("{answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
            drop(stream);
            assert_eq!(asked.join().unwrap(), expected);
        }
    }

    #[test]
    fn a_command_has_only_the_variables_that_it_is_given() {
        let output = script("export -p").env("GIVEN", "1").output().unwrap();
        let variables = String::from_utf8(output.stdout).unwrap();
        assert!(variables.contains("GIVEN") && !variables.contains("CARGO"), "{variables}");
        let few =
            command_with_few_files(Path::new(SHELL), Path::new("/"), 64).args(["-c", "ulimit -n"]).output();
        assert_eq!(few.unwrap().stdout, b"64\n");
    }
}
