//! `cargo xtask simulate`: builds the simulation, and runs it.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use testbed::process;

use crate::workspace;

/// Run the engine under faults drawn from a seed, one turn at a time, and check every promise after each turn
///
/// The same seed gives the same run, to the byte. Fails when a promise is broken, and also when a fault never happened.
/// `docs/reliability.md` says how to read the table.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of runs [default: 1000, or 1 with --seed]
    #[arg(long)]
    seeds: Option<u64>,
    /// Seed of the first run [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Print every turn of a single run
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    trace: bool,
}

impl Args {
    /// Runs that are short enough for every change.
    pub(crate) const fn short() -> Self {
        Self { seeds: Some(400), seed: None, trace: false }
    }
}

/// Builds the program. Returns its path and cargo's exit code.
pub(crate) fn build() -> Result<(PathBuf, u8)> {
    // With the features of the whole workspace, as the tests have built it; with its own features alone, half of the
    // dependencies would be built again.
    let words = "build --locked --workspace --bin simulation";
    let status = process::run(&mut workspace::cargo(words.split(' ')))?;
    let program = testbed::target_folder()?.join("debug").join(format!("simulation{EXE_SUFFIX}"));
    Ok((program, process::exit_code(status)))
}

/// Builds and runs. Returns the exit code of the first step that fails.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let (program, code) = build()?;
    if code != 0 {
        return Ok(code);
    }
    let mut simulation = Command::new(program);
    for (name, value) in [("--seeds", args.seeds), ("--seed", args.seed)] {
        if let Some(value) = value {
            simulation.arg(name).arg(value.to_string());
        }
    }
    if args.trace {
        simulation.arg("--trace");
    }
    Ok(process::exit_code(process::run(&mut simulation)?))
}
