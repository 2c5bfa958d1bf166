//! A measured process: started on a free port, awaited until it is ready, killed when its value is dropped.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Result, bail};
use testbed::bos;

/// The time in which a process must become ready; chosen.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// The time in which a process must stop after SIGTERM; more than the default of `drain_timeout`.
const STOP_DEADLINE: Duration = Duration::from_mins(2);

/// The program of a measured process.
#[derive(Clone, Copy)]
pub(crate) enum Program<'a> {
    /// The service with instant companions.
    Instant,
    /// `bos serve`, with the path of `bos`.
    Bos(&'a Path),
    /// The bare HTTP stack.
    Hello,
}

/// The sign that a process is ready.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    /// A 200 on `/readyz`.
    Ready,
    /// It accepts connections.
    Listens,
}

/// A running server process.
pub(crate) struct Server {
    process: bos::Server,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the sign that it serves.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `program` with its data in `folder` and the default configuration, and waits until it is ready.
    pub(crate) fn start(program: Program<'_>, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = bos::free_address()?;
        let (file, task) = match program {
            Program::Instant => (env::current_exe()?, "serve-instant"),
            Program::Bos(file) => (file.to_owned(), "serve"),
            Program::Hello => (env::current_exe()?, "serve-hello"),
        };
        let mut command = bos::command(&file, folder);
        command.args([task, "--port", &address.port().to_string(), "--data-dir"]).arg(folder);
        Self::spawn(&mut command, address, Sign::Ready, &folder.join("log"))
    }

    /// Starts a server at `address` that logs to `log`, and waits for the sign that it is ready.
    pub(crate) fn spawn(command: &mut Command, address: SocketAddr, sign: Sign, log: &Path) -> Result<Self> {
        let mut process = bos::Server::spawn(command, address, log)?;
        let ended: Option<ExitStatus> = match sign {
            Sign::Ready => process.ready(READY_DEADLINE)?,
            Sign::Listens => process.listens(READY_DEADLINE)?,
        };
        if let Some(status) = ended {
            bail!("the process ended before it was ready ({status})\n{}", process.log_tail());
        }
        let ready_after = process.ready_after();
        Ok(Self { process, address, ready_after })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Resident memory in MiB; `None` on systems other than Linux.
    pub(crate) fn resident_mib(&self) -> Option<f64> {
        Some(f64::from(self.process.resident_kib()?) / 1_024.0)
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop(STOP_DEADLINE)
    }
}
