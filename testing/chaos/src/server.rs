//! The process under test, which is started repeatedly on the same data and port.

use std::{
    fs, net::SocketAddr, os::unix::process::ExitStatusExt as _, path::PathBuf, process::ExitStatus,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use testbed::bos::{self, Server};

/// Far more than a start takes on a busy machine (chosen).
pub(crate) const READY_DEADLINE: Duration = Duration::from_mins(1);
/// More than the service's own drain time.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// Times are shortened by configuration, so that timers fire within a run. No phase times out because of
/// them.
const SETTINGS: [&str; 3] = ["start_timeout=300ms", "phase_timeout=5m", "log_level=debug"];

/// The program, its data and its address.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Installation {
    /// On a free port.
    pub(crate) fn new(program: PathBuf, data: PathBuf, log: PathBuf) -> Result<Self> {
        Ok(Self { program, data, log, address: bos::free_address()? })
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
        let mut command = bos::command(&self.program, &self.data);
        bos::serve(&mut command, self.address.port(), &SETTINGS).arg("--data-dir").arg(&self.data);
        if let Some(crash_at) = crash_at {
            command.args(["--crash-at", crash_at]);
        }
        Server::spawn(&mut command, self.address, &self.log)
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

impl From<ExitStatus> for Death {
    fn from(status: ExitStatus) -> Self {
        let (aborted, killed) = (Signal::ABORT.as_raw(), Signal::KILL.as_raw());
        match status.signal() {
            Some(signal) if signal == aborted => Self::AtCrashPoint,
            Some(signal) if signal == killed => Self::Killed,
            _ => Self::Other(status),
        }
    }
}
