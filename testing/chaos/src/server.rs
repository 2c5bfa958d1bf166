//! The process under test, which is started repeatedly on the same data and port.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::Client;

/// Far more than a start takes on a busy machine (chosen).
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// More than the service's own drain time.
const STOP_DEADLINE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(5);

/// Times are shortened by configuration, so that timers fire within a run. No phase times out because of
/// them.
const SETTINGS: [&str; 3] = ["start_timeout=300ms", "phase_timeout=5m", "log_level=debug"];

/// The program, its data and its address.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    bos: PathBuf,
    data: PathBuf,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Installation {
    /// On a free port.
    pub(crate) fn new(bos: &Path, data: PathBuf, log: PathBuf) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
        Ok(Self { bos: bos.to_owned(), data, log, address: listener.local_addr()? })
    }

    /// The orchestrator's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("bos.db")
    }

    /// The log of the processes.
    pub(crate) fn log(&self) -> Result<Vec<u8>> {
        fs::read(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }

    /// Starts the process, to crash at `crash_at` if there is one, and does not wait for it.
    pub(crate) fn start(&self, crash_at: Option<&str>) -> Result<Server> {
        let mut command = program(&self.bos, &self.data);
        command
            .arg("serve")
            .arg("--port")
            .arg(self.address.port().to_string())
            .arg("--data-dir")
            .arg(&self.data);
        for setting in SETTINGS {
            command.arg("--set").arg(setting);
        }
        if let Some(crash_at) = crash_at {
            command.arg("--crash-at").arg(crash_at);
        }
        Server::start(&mut command, &self.log, self.address)
    }
}

/// A command of the service's program in `folder`. Variables of the calling shell and a `.env` of its folder
/// must not configure what is tested.
pub(crate) fn program(bos: &Path, folder: &Path) -> Command {
    let mut command = Command::new(bos);
    command.env_clear().current_dir(folder);
    command
}

/// A process of the service.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a process that appends its output to `log`, and does not wait for it.
    pub(crate) fn start(command: &mut Command, log: &Path, address: SocketAddr) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, address })
    }

    /// Waits until the process is ready or has ended. None: it is ready.
    pub(crate) fn ready(&mut self) -> Result<Option<Death>> {
        let begun = Instant::now();
        loop {
            if let Some(death) = self.death()? {
                return Ok(Some(death));
            }
            if Client::new([self.address]).get("/readyz").is_ok_and(|answer| answer.status == 200) {
                return Ok(None);
            }
            ensure!(begun.elapsed() < READY_DEADLINE, "the service is not ready after {READY_DEADLINE:?}");
            thread::sleep(POLL);
        }
    }

    /// Waits at most `time` for the process to end.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<Option<Death>> {
        let begun = Instant::now();
        loop {
            let death = self.death()?;
            if death.is_some() || begun.elapsed() >= time {
                return Ok(death);
            }
            thread::sleep(POLL);
        }
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("killing the service")?;
        self.child.wait().context("waiting for the service")?;
        Ok(())
    }

    /// Asks the process to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        match self.wait(STOP_DEADLINE)? {
            Some(Death::Other(status)) if status.success() => Ok(()),
            Some(death) => bail!("the service did not stop cleanly: {death:?}"),
            None => bail!("the service has not stopped after {STOP_DEADLINE:?}"),
        }
    }

    /// Stops the process with SIGSTOP: its connections stay open, and it does nothing.
    pub(crate) fn pause(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::STOP).context("pausing the service")
    }

    /// Continues a stopped process with SIGCONT.
    pub(crate) fn resume(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::CONT).context("resuming the service")
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process has ended, if it has.
    pub(crate) fn death(&mut self) -> Result<Option<Death>> {
        let (aborted, killed) = (Signal::ABORT.as_raw(), Signal::KILL.as_raw());
        Ok(self.child.try_wait()?.map(|status| match status.signal() {
            Some(signal) if signal == aborted => Death::AtCrashPoint,
            Some(signal) if signal == killed => Death::Killed,
            _ => Death::Other(status),
        }))
    }
}

impl Drop for Server {
    /// Kills the process when a run ends early; errors are ignored.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// At the crash point that it was started with.
    AtCrashPoint,
    /// By SIGKILL.
    Killed,
    /// In another way.
    Other(ExitStatus),
}
