//! A measured process: started on a free port, ready when it answers so, gone when its value is dropped.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Result, bail};
use testbed::bos;

const READY_DEADLINE: Duration = Duration::from_secs(30);
/// More than the service's own drain time.
const STOP_DEADLINE: Duration = Duration::from_mins(2);

/// What is started.
#[derive(Clone, Copy)]
pub(crate) enum Program<'a> {
    /// The service with instant companions.
    Instant,
    /// The service as users have it: this file.
    Bos(&'a Path),
    /// The bare HTTP stack.
    Hello,
}

/// What shows that a process serves.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    /// A 200 on `/readyz`.
    Ready,
    /// It takes connections.
    Listens,
}

/// A process that serves.
pub(crate) struct Server {
    process: bos::Server,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the sign that it serves.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `program` on its data in `folder`, with nothing configured, and waits until it is ready.
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

    /// Starts what serves at `address`, logs to `log`, and waits for the sign that it does.
    pub(crate) fn spawn(command: &mut Command, address: SocketAddr, sign: Sign, log: &Path) -> Result<Self> {
        let mut process = bos::Server::spawn(command, address, log)?;
        let ended: Option<ExitStatus> = match sign {
            Sign::Ready => process.ready(READY_DEADLINE)?,
            Sign::Listens => process.listens(READY_DEADLINE)?,
        };
        if let Some(status) = ended {
            bail!("the service ended before it was ready ({status})\n{}", process.said());
        }
        let ready_after = process.ready_after();
        Ok(Self { process, address, ready_after })
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Resident memory in MiB; none where the system does not say.
    pub(crate) fn resident_mib(&self) -> Option<f64> {
        Some(f64::from(self.process.resident_kib()?) / 1_024.0)
    }

    /// Asks the process to stop and waits until it has.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop(STOP_DEADLINE)
    }
}
