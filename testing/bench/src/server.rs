//! A measured process: started on a free port, ready when it says so, gone when its value is dropped.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    http::{Connection, Request},
    load::on_this_thread,
};

const READY_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

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
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first 200 on `/readyz`.
    pub(crate) ready_after: Duration,
    log: PathBuf,
}

impl Server {
    /// Starts `program` on its data in `folder`, with nothing configured, and waits until it is ready.
    pub(crate) fn start(program: Program<'_>, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let (file, task) = match program {
            Program::Instant => (env::current_exe()?, "serve-instant"),
            Program::Bos(file) => (file.to_owned(), "serve"),
            Program::Hello => (env::current_exe()?, "serve-hello"),
        };
        let mut command = unconfigured(&file, folder);
        command.args([task, "--port", &address.port().to_string(), "--data-dir"]).arg(folder);
        Self::spawn(&mut command, address, Sign::Ready, folder.join("log"))
    }

    /// Starts what serves at `address`, logs to `log`, and waits for the sign that it does.
    pub(crate) fn spawn(
        command: &mut Command,
        address: SocketAddr,
        sign: Sign,
        log: PathBuf,
    ) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(&log)?);
        let begun = Instant::now();
        let child =
            command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut server = Self { child, address, ready_after: Duration::ZERO, log };
        while !server.shows(sign) {
            if let Some(status) = server.child.try_wait()? {
                bail!("the service ended before it was ready ({status})\n{}", server.said());
            }
            ensure!(begun.elapsed() < READY_DEADLINE, "the service is not ready\n{}", server.said());
            thread::sleep(POLL);
        }
        server.ready_after = begun.elapsed();
        Ok(server)
    }

    fn shows(&self, sign: Sign) -> bool {
        let shown = on_this_thread(async {
            let mut connection = Connection::open(self.address).await?;
            if let Sign::Ready = sign {
                connection.exchange(&Request::get("/readyz")).await?.expect(200)?;
            }
            Ok(())
        });
        shown.is_ok()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in MiB; none where the system does not say.
    pub(crate) fn resident_mib(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    /// Asks the process to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the service stopped with {status}\n{}", self.said());
        Ok(())
    }
}

impl Drop for Server {
    /// Its data goes too, so a kill is enough. Errors cannot matter here.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that neither this shell's variables nor a `.env` of the working folder configure.
pub(crate) fn unconfigured(file: &Path, folder: &Path) -> Command {
    let mut command = Command::new(file);
    command.env_clear().current_dir(folder);
    command
}

/// An address that nobody listens on just now; the process takes it a moment later.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?)
}
