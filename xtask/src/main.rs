//! The project's own tasks, run as `cargo xtask <task>`: one file per task, beside the files for what tasks share.
//!
//! A task brings up the servers it needs ([`testbed`]), runs other programs as process groups that a stop signal
//! reaches as a whole ([`testbed::process`]), and leaves nothing behind but what cargo builds.

mod bench;
mod chaos;
mod ci;
mod left_out;
mod servers;
mod simulate;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use testbed::process;

/// The project's own tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    Test(test::Args),
    Bench(bench::Args),
    Chaos(chaos::Args),
    Servers(servers::Args),
    Simulate(simulate::Args),
    /// Check what a change must pass: format, lints, documentation, tests, a short simulation, a short chaos; stop at the first failure
    Ci,
}

fn main() -> ExitCode {
    let task = Task::parse();
    let done = process::watch_signals().and_then(|()| match task {
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::Servers(args) => servers::run(&args),
        Task::Simulate(args) => simulate::run(&args),
        Task::Ci => ci::run(),
    });
    match done {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            if process::was_interrupted() { process::INTERRUPTED_CODE } else { 1 }.into()
        }
    }
}
