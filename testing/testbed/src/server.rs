//! The process of a server: its output goes to a log file, its end is detected, and it supports faults.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::process;

/// The time in which a server must become ready; long, because servers start while compilers use all cores. A server that
/// fails is detected earlier, by its end.
const READY_DEADLINE: Duration = Duration::from_mins(3);
/// The time in which a server must obey a stop signal; chosen.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// The period of checking whether a server is ready or has ended.
const POLL: Duration = Duration::from_millis(10);

/// The lines of the log that an error contains.
const TAIL_LINES: usize = 40;

/// The log file of the server with this folder.
pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Appends the output of a command to a log, and gives it no input.
pub(crate) fn logged<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    let log = File::options().create(true).append(true).open(log).context("opening the log")?;
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

/// Runs a command that must succeed before its server can start.
pub(crate) fn run_first(name: &str, command: &mut Command, log: &Path) -> Result<()> {
    let status = process::run(logged(command, log)?)?;
    ensure!(status.success(), "{name} failed ({status})\n{}", tail(log, 0));
    Ok(())
}

/// The process of a server, which is killed when this value is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: Option<PathBuf>,
    /// The offset in the log at which this process begins, because a restarted server continues the same file.
    begins: u64,
}

impl Process {
    /// Starts a command in a process group of its own, so that Ctrl-C reaches only the run, which then stops the server.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        Self::spawn(name, logged(command, log)?.process_group(0), Some(log))
    }

    /// Starts a command as it stands. Its log goes to the end of `log`, if there is one.
    pub(crate) fn spawn(name: &'static str, command: &mut Command, log: Option<&Path>) -> Result<Self> {
        let begins = log.and_then(|log| log.metadata().ok()).map_or(0, |metadata| metadata.len());
        let child = command.spawn();
        let child = child.with_context(|| format!("starting {name}, {}", command.get_program().display()))?;
        Ok(Self { name, child, log: log.map(Path::to_path_buf), begins })
    }

    /// The pipe of its standard output, if it was given one, for the first caller.
    pub(crate) const fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a condition.
    ///
    /// # Errors
    /// The process ended, the condition did not hold within 3 minutes, or a stop signal arrived.
    pub(crate) fn wait_until(&mut self, ready: impl Fn(&Self) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !ready(self) {
            process::check_interrupted()?;
            self.check()?;
            if begun.elapsed() > READY_DEADLINE {
                let seconds = READY_DEADLINE.as_secs();
                bail!("{} is not ready after {seconds} s\n{}", self.name, self.log_tail());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Fails if the process has ended, with the last lines of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has ended ({status})\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// How the process has ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("waiting for {}", self.name))
    }

    /// The last lines that this process wrote to its log.
    pub(crate) fn log_tail(&self) -> String {
        self.log.as_ref().map_or_else(String::new, |log| tail(log, self.begins))
    }

    /// Sends a signal to the process, which must be running.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.check()?;
        self.send(signal)
    }

    /// Sends a signal, which has no effect on a process that has ended.
    pub(crate) fn send(&self, signal: Signal) -> Result<()> {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.with_context(|| format!("sending a signal to {}", self.name))
    }

    /// Freezes the process with SIGSTOP, and returns when all its threads have stopped.
    ///
    /// The signal stops one thread after the other, and until then the others still answer.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        // NOWAIT leaves the status of an ended process for the next wait.
        let stopped_or_ended = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), stopped_or_ended)
            .with_context(|| format!("waiting until {} is frozen", self.name))?;
        self.check()
    }

    /// Resumes a frozen process.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends this signal and waits for the end of the process, which is killed after 10 s.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > STOP_DEADLINE {
                self.kill()?;
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills the process if it is running, and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }
}

impl Drop for Process {
    /// Ignores errors, which cannot be reported here.
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The child processes of a process; empty on systems other than Linux.
pub(crate) fn children(id: u32) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// The last lines of a log after this offset.
fn tail(log: &Path, begins: u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(begins))?;
        file.read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("(cannot read its log: {error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines.iter().skip(skipped).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        Process::start("a shell", Command::new("sh").args(["-c", script]), &log_file(folder)).unwrap()
    }

    #[test]
    fn a_process_that_ends_too_early_is_reported_with_the_last_lines_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(log_file(folder.path()), "of the process before\n").unwrap();
        let mut process = shell("seq 100; exit 3", folder.path());
        let error = process.wait_until(|_| false).unwrap_err().to_string();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines[0], "a shell has ended (exit status: 3)");
        assert_eq!((lines[1], lines[lines.len() - 1]), ("61", "100"));
        assert!(!process.log_tail().contains("before"));
    }

    #[test]
    fn dropping_a_frozen_process_kills_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("exec sleep 600", folder.path());
        process.freeze().unwrap();
        let id = Pid::from_child(&process.child);
        drop(process);
        rustix::process::test_kill_process(id).unwrap_err();
    }

    #[test]
    fn a_frozen_process_writes_nothing_until_it_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("while true; do echo word; done", folder.path());
        let written = || log_file(folder.path()).metadata().map_or(0, |log| log.len());
        process.wait_until(|_| written() > 0).unwrap();
        for _ in 0..50 {
            process.freeze().unwrap();
            let before = written();
            thread::sleep(Duration::from_millis(1));
            assert_eq!(written(), before);
            process.thaw().unwrap();
            process.wait_until(|_| written() > before).unwrap();
        }
    }

    #[test]
    fn a_process_that_ends_instead_of_freezing_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("exec sleep 600", folder.path());
        process.signal(Signal::KILL).unwrap();
        let error = process.freeze().unwrap_err().to_string();
        assert!(error.starts_with("a shell has ended (signal: 9"), "{error}");
    }

    #[test]
    fn a_process_that_has_ended_gets_no_more_signals() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("exec sleep 600", folder.path());
        process.end(Signal::TERM).unwrap();
        process.signal(Signal::CONT).unwrap_err();
        process.kill().unwrap();
    }
}
