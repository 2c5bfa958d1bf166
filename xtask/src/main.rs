//! The tasks for developers, run as `cargo xtask <task>`: one file per task, and files for what tasks share.
//!
//! A task starts the servers it needs ([`testbed`]), runs other programs as process groups so that a stop signal reaches
//! all their processes ([`testbed::process`]), and leaves nothing behind except what cargo builds.

mod bench;
mod chaos;
mod check;
mod ci;
mod dist;
mod left_out;
mod servers;
mod simulate;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use testbed::process;

/// Tasks for developers of the Batch Orchestrator Service.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    Check(check::Args),
    Test(test::Args),
    Bench(bench::Args),
    Dist(dist::Args),
    Chaos(chaos::Args),
    Servers(servers::Args),
    Simulate(simulate::Args),
    /// Run everything that a change must pass: format, lints, documentation, tests, a short simulation, a short chaos run; stop at the first failure
    Ci,
}

fn main() -> ExitCode {
    let task = Task::parse();
    let done = process::watch_signals().and_then(|()| match task {
        Task::Check(args) => check::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Dist(args) => dist::run(&args),
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
