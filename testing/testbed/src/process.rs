//! Running other programs so that Ctrl-C, SIGTERM or a hang-up ends them and still lets us clean up.
//!
//! A program runs in a process group of its own. The first signal asks every such group to end, later ones kill it;
//! [`run`] then returns an error, and the values on the stack take down what they hold. Nothing here exits the process.
//! Several threads may run a program each.

use std::{
    iter,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// The exit code of a task that a signal ended: what a shell reports for SIGINT.
pub const INTERRUPTED_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Turns stop signals into the end of the running programs. Call it once, before the first [`run`].
pub fn watch_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("watching for stop signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let groups = running();
            let insisting = INTERRUPTED.swap(true, Ordering::SeqCst);
            for group in groups.iter() {
                // It may have ended on its own in the meantime, which is what was wanted.
                let _ = kill_process_group(*group, if insisting { Signal::KILL } else { Signal::TERM });
            }
        }
    });
    Ok(())
}

/// Whether a stop signal has arrived.
pub fn was_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails once a stop signal has arrived: for loops that wait for something other than a program's end.
pub fn check_interrupted() -> Result<()> {
    ensure!(!was_interrupted(), "interrupted");
    Ok(())
}

/// Runs `command` to its end and says how it ended. Fails when it cannot start or a stop signal arrives.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    let (mut child, group) = {
        let mut running = running();
        check_interrupted()?;
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting `{}`", command_line(command)))?;
        let group = Pid::from_child(&child);
        running.push(group);
        (child, group)
    };
    let ended = child.wait();
    running().retain(|other| *other != group);
    check_interrupted()?;
    ended.with_context(|| format!("waiting for `{}`", command_line(command)))
}

/// The exit code to pass on: the program's own, or 128 + the signal that ended it, as shells have it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The command as one would type it, with the variables it sets and without the folder of its program.
pub fn command_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy())))
    });
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = iter::once(program).chain(command.get_args());
    variables.chain(words.map(|word| quoted(&word.to_string_lossy()))).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) { format!("'{word}'") } else { word.to_owned() }
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let mut command = Command::new("cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command_line(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn the_code_of_a_killed_program_is_what_a_shell_reports() {
        assert_eq!(exit_code(ExitStatus::from_raw(101 << 8)), 101);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "starting `no-such-program`");
    }
}
