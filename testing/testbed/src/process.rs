//! Runs other programs so that Ctrl-C, SIGTERM or SIGHUP ends them and the caller still cleans up.
//!
//! A program runs in a process group of its own. The first signal sends SIGTERM to every such group, later ones SIGKILL.
//! [`run`] then returns an error, and the destructors of the caller's values clean up. Nothing here exits the process.
//! Several threads may run one program each.

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

/// The exit code of a task that was ended by a signal: the one that a shell reports for SIGINT.
pub const INTERRUPTED_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Ends the running programs at a stop signal, instead of this process. Call it once, before the first [`run`].
pub fn watch_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("watching for stop signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let groups = running();
            let insisting = INTERRUPTED.swap(true, Ordering::SeqCst);
            for group in groups.iter() {
                // An error means that the group has already ended.
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

/// Fails after a stop signal; for loops that wait for something else than the end of a program.
pub fn check_interrupted() -> Result<()> {
    ensure!(!was_interrupted(), "interrupted");
    Ok(())
}

/// Runs `command` to its end and returns its status.
///
/// # Errors
/// The command cannot start, or a stop signal has arrived.
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

/// The exit code to pass on: that of the program, or 128 plus the signal that ended it, as shells report it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The command as a shell would take it, with its variables and without the folder of its program.
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
    fn a_command_line_can_be_pasted_into_a_shell() {
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
    fn the_error_for_a_missing_program_names_it() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "starting `no-such-program`");
    }
}
