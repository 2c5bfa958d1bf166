//! `cargo xtask simulate`: runs the engine under injected faults, one run per seed.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::{report::Report, runs};

/// Run the engine under injected faults and check every invariant
#[derive(Parser)]
#[command(name = "simulation")]
struct Args {
    /// Number of runs [default: 1000, or 1 with --seed]
    #[arg(long)]
    seeds: Option<u64>,
    /// Seed of the first run; the following runs count up from it [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Print every turn of a single run
    #[arg(long, requires = "seed")]
    trace: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let begun = Instant::now();
    let first = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let mut report = if args.trace {
        let mut report = Report::default();
        match runs::run(first, None, true) {
            Ok(outcome) => report.add(outcome),
            Err(error) => report.add_broken(first, &error),
        }
        report
    } else {
        runs::run_many(first, args.seeds.unwrap_or_else(|| if args.seed.is_some() { 1 } else { 1_000 }))
    };
    println!("{}", report.text(first, begun.elapsed()));
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
