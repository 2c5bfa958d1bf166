//! Runs cargo, passes its output on as it comes, and reads it.

use std::{
    env,
    io::{self, IsTerminal as _, PipeReader, Read as _, Write},
    process::{Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use testbed::process;

use super::summary::Summary;

/// How long to read on after cargo has ended: a process that a test has left behind may keep the pipe open.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Cargo's own switch for colors.
const COLOR: &str = "CARGO_TERM_COLOR";

/// Runs cargo and says how it ended and what it printed. Its standard output and standard error go to our standard output.
///
/// # Errors
/// When cargo cannot start, or a stop signal arrives.
pub(super) fn run(mut cargo: Command) -> Result<(ExitStatus, Summary)> {
    if io::stdout().is_terminal() && env::var_os(COLOR).is_none() {
        cargo.env(COLOR, "always");
    }
    run_to(io::stdout(), cargo)
}

/// Both outputs of the command come through one pipe, because that keeps their order: cargo names a program on one, and the
/// program answers on the other.
fn run_to(out: impl Write + Send + 'static, mut command: Command) -> Result<(ExitStatus, Summary)> {
    let (reader, writer) = io::pipe().context("making a pipe for cargo's output")?;
    command.stdout(writer.try_clone().context("sharing cargo's output")?).stderr(writer);
    let summary = Arc::new(Mutex::new(Summary::default()));
    let (end, ended) = mpsc::channel();
    let read = Arc::clone(&summary);
    thread::spawn(move || {
        pass_on(reader, out, &read);
        // Not received when the wait below was too long.
        let _ = end.send(());
    });
    let status = process::run(&mut command)?;
    // It holds the ends that are written to.
    drop(command);
    if ended.recv_timeout(LAST_LINES).is_err() {
        eprintln!("a process that a test has started still runs, and keeps the output of cargo open");
    }
    let summary = std::mem::take(&mut *summary.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((status, summary))
}

fn pass_on(mut reader: PipeReader, mut out: impl Write, summary: &Mutex<Summary>) {
    let mut buffer = [0; 8 * 1024];
    let mut unfinished = Vec::new();
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        // Where the output goes may be gone; the tests run on.
        let _ = out.write_all(read).and_then(|()| out.flush());
        unfinished.extend_from_slice(read);
        let end = unfinished.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = unfinished.drain(..end).collect();
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(&lines).lines() {
            summary.read_line(line);
        }
    }
    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    summary.read_line(&String::from_utf8_lossy(&unfinished));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Option<i32>, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        // Not to standard output: the summary of a run that includes this test would count it.
        let (status, mut summary) = run_to(io::sink(), command).unwrap();
        let code = process::exit_code(status);
        summary.end(code);
        (status.code(), summary.to_string())
    }

    #[test]
    fn both_outputs_are_read_in_their_order() {
        let (code, summary) = shell(
            "echo '     Running unittests src/lib.rs (target/debug/deps/a-1)' >&2; echo 'running 1 test'; \
             printf 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'; \
             echo '; finished in 0.00s'; echo '   Doc-tests a' >&2; echo 'running 0 tests'; \
             printf 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'",
        );
        assert_eq!((code, summary.as_str()), (Some(0), "1 passed, 0 failed, 0 left out"));
    }

    #[test]
    fn a_command_that_fails_without_a_test_is_a_failure() {
        let (code, summary) = shell("echo 'error: no such package' >&2; exit 101");
        assert_eq!(code, Some(101));
        assert_eq!(
            summary,
            "failed:   cargo ended with exit code 101, see above\n0 passed, 1 failed, 0 left out"
        );
    }
}
