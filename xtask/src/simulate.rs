//! `cargo xtask simulate`: builds the simulation, and runs it.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use testbed::process;

use crate::workspace;

/// Run the engine under injected faults, one turn at a time, and check every invariant after each turn
///
/// A seed always gives the same run, byte for byte. Fails when an invariant is violated, and when a fault never happened.
/// `docs/reliability.md` explains the invariants.
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
    /// A run that is short enough for every change.
    pub(crate) const fn short() -> Self {
        Self { seeds: Some(400), seed: None, trace: false }
    }
}

/// Builds the program; returns its path and cargo's exit code.
pub(crate) fn build() -> Result<(PathBuf, u8)> {
    // With the features of the whole workspace, as the tests have built it; with others, half of it would be built again.
    let words = "build --locked --workspace --bin simulation";
    let status = process::run(&mut workspace::cargo(words.split(' ')))?;
    let program = testbed::target_folder()?.join("debug").join(format!("simulation{EXE_SUFFIX}"));
    Ok((program, process::exit_code(status)))
}

/// Builds and runs the simulation; returns the exit code of the first step that fails.
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
