//! `cargo xtask bench`: builds the service and the benchmark for release, starts `PostgreSQL`, and measures.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use anyhow::Result;
use testbed::{Kafka, Postgres, process};

use crate::{simulate, workspace};

/// Measure the service beside the limits of this machine; prints a table, and writes JSON under target/bench/
///
/// Measures the embedded form, or with `--production` the service on `PostgreSQL` and Kafka. Takes about ten minutes, with
/// `--production` twice as long, with `--quick` one to three. Nothing else should run meanwhile.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure on `PostgreSQL` and Kafka, with the companions in a process of their own
    #[arg(long)]
    production: bool,
    /// Use smaller sizes and one round, for a first impression
    #[arg(long)]
    quick: bool,
    /// Measure every row this many times, and report the medians
    #[arg(long, default_value_t = 3)]
    rounds: u8,
    /// Measure only these rows, separated by commas; an unknown name lists the known ones
    #[arg(long)]
    only: Option<String>,
}

/// Builds and measures. Returns the exit code of the first step that fails.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let status = process::run(&mut workspace::cargo("build --release --locked -p bos -p bench".split(' ')))?;
    if !status.success() {
        return Ok(process::exit_code(status));
    }
    let target = testbed::target_folder()?;
    let program = |name: &str| target.join("release").join(format!("{name}{EXE_SUFFIX}"));
    let mut bench = Command::new(program("bench"));
    if args.production {
        Kafka::prepare()?;
        let (simulation, code) = simulate::build()?;
        if code != 0 {
            return Ok(code);
        }
        bench.arg("measure-production").arg("--simulation").arg(simulation);
    } else {
        bench.arg("measure");
    }
    bench.arg("--bos").arg(program("bos")).arg("--out").arg(target.join("bench"));
    bench.arg("--rounds").arg(args.rounds.to_string());
    if args.quick {
        bench.arg("--quick");
    }
    if let Some(rows) = &args.only {
        bench.arg("--only").arg(rows);
    }
    let postgres = Postgres::start()?;
    eprintln!("started: {postgres}");
    if let Some(pgbench) =
        postgres.bin_dir().map(|folder| folder.join("pgbench")).filter(|file| file.is_file())
    {
        bench.arg("--postgres").arg(postgres.url()).arg("--pgbench").arg(pgbench);
    }
    Ok(process::exit_code(process::run(&mut bench)?))
}
