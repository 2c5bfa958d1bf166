//! A measured process: started on a free port, awaited until it is ready, killed when its value is dropped.

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

/// The time in which a process must become ready; chosen.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// The pause between two checks; also the error of the measured start.
const POLL: Duration = Duration::from_millis(1);

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
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first 200 on `/readyz`.
    pub(crate) ready_after: Duration,
    log: PathBuf,
}

impl Server {
    /// Starts `program` with its data in `folder` and the default configuration, and waits until it is ready.
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

    /// Starts a server at `address` that logs to `log`, and waits for the sign that it is ready.
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
                bail!("the process ended before it was ready ({status})\n{}", server.said());
            }
            ensure!(
                begun.elapsed() < READY_DEADLINE,
                "the process is not ready after {READY_DEADLINE:?}\n{}",
                server.said()
            );
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

    /// The id of the process.
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

    /// Resident memory in MiB; `None` on systems other than Linux.
    pub(crate) fn resident_mib(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the service stopped with {status}\n{}", self.said());
        Ok(())
    }
}

impl Drop for Server {
    /// Kills the process, because its data is removed too. Ignores errors, which cannot be reported here.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command without environment variables, in a folder without `.env`, so that the default configuration applies.
pub(crate) fn unconfigured(file: &Path, folder: &Path) -> Command {
    let mut command = Command::new(file);
    command.env_clear().current_dir(folder);
    command
}

/// A free address on the loopback interface, which the process must bind soon.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?)
}
