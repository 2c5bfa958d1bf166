//! `cargo xtask check`: the checks of the inner loop, without servers.

mod changes;
mod plan;

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    time::Instant,
};

use anyhow::{Context, Result};
use testbed::process;

use crate::workspace;
use plan::{Scope, Step};

/// Check format, lints, documentation and repository rules, and run the unit tests of what changed; needs no server
///
/// The crates that changed are those with files that differ from the branch `main` (`--since`), committed or not. Lints cover
/// the whole workspace, because a change breaks the crates that use it; documentation and tests cover the crates that
/// changed. Stops at the first step that fails, with its output and the command to repeat it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Document and test every crate, whatever changed
    #[arg(long)]
    all: bool,
    /// Commit or branch to compare the files with
    #[arg(long, value_name = "REVISION", default_value = "main", conflicts_with = "all")]
    since: String,
}

/// Runs the steps, and gives the exit code of the first that fails.
///
/// # Errors
///
/// When git or cargo cannot say what changed, or a stop signal arrives.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let begun = Instant::now();
    let scope = if args.all { Scope::Everything } else { changes::since(&args.since)? };
    eprintln!("{scope}");
    for step in plan::steps(&scope) {
        let code = perform(&step)?;
        if code != 0 {
            return Ok(code);
        }
    }
    eprintln!("{:7.1} s  in total", begun.elapsed().as_secs_f64());
    Ok(0)
}

/// Runs one step with its output in a file, and shows the output only when the step fails.
fn perform(step: &Step) -> Result<u8> {
    let mut command = workspace::cargo(step.words.iter().map(String::as_str));
    command.envs(step.variables.iter().copied());
    let line = process::command_line(&command);
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
        eprint!("         …  {line}\r");
    }
    let output = tempfile::tempfile().context("cannot create a temporary file")?;
    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    let begun = Instant::now();
    let status = process::run(&mut command)?;
    eprintln!("{:7.1} s  {line}", begun.elapsed().as_secs_f64());
    let code = process::exit_code(status);
    if code != 0 {
        show(output)?;
        eprintln!("\ncheck failed; to repeat this step: {line}");
    }
    Ok(code)
}

fn show(mut output: File) -> Result<()> {
    use std::io::Seek;
    output.rewind()?;
    io::copy(&mut output, &mut io::stderr().lock())?;
    io::stderr().flush()?;
    Ok(())
}
