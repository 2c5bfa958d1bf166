//! `cargo xtask chaos`: builds the service with crash points, and injects faults under load.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use anyhow::Result;
use testbed::{Kafka, Postgres, process};

use crate::workspace;

/// Inject faults into the service and its dependencies under load, and check every promise
///
/// Runs three replicas on PostgreSQL and Kafka, or one process with everything embedded. History, logs and report are written
/// to target/chaos-production/ or target/chaos/. Fails when a promise is broken, and also when a fault did not happen.
/// `docs/reliability.md` says what is promised and how to read the table.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Use the embedded database, bus and companions
    #[arg(long)]
    embedded: bool,
    /// Add the faults that take minutes, for 15 minutes or the longer time of `--seconds`
    #[arg(long, conflicts_with = "embedded")]
    long: bool,
    /// Inject faults for this many seconds, and longer until every fault has happened
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Repeat the submissions and faults of the run that printed this seed
    #[arg(long)]
    seed: Option<u64>,
}

/// In this time each fault happens about twice.
const LONG_SECONDS: u64 = 900;

impl Args {
    /// A run that is short enough for every change.
    pub(crate) const fn short(embedded: bool) -> Self {
        Self { embedded, long: false, seconds: 20, seed: None }
    }
}

/// Builds and runs. Returns the exit code of the first step that fails.
///
/// This is a debug build: it checks assertions, the tests have compiled most of it already, and so a program with crash
/// points is never in the folder of release builds.
pub(crate) fn run(args: &Args) -> Result<u8> {
    if !args.embedded {
        Postgres::prepare()?;
        Kafka::prepare()?;
    }
    let words = "build --locked -p bos -p chaos --features bos/crash-points";
    let status = process::run(&mut workspace::cargo(words.split(' ')))?;
    if !status.success() {
        return Ok(process::exit_code(status));
    }
    let target = testbed::target_folder()?;
    let program = |name: &str| target.join("debug").join(format!("{name}{EXE_SUFFIX}"));
    let mut chaos = Command::new(program("chaos"));
    let out = if args.embedded { "chaos" } else { "chaos-production" };
    chaos.arg("--bos").arg(program("bos")).arg("--out").arg(target.join(out));
    if !args.embedded {
        chaos.arg("--production");
    }
    if args.long {
        chaos.arg("--long");
    }
    let seconds = if args.long { args.seconds.max(LONG_SECONDS) } else { args.seconds };
    chaos.arg("--seconds").arg(seconds.to_string());
    if let Some(seed) = args.seed {
        chaos.arg("--seed").arg(seed.to_string());
    }
    Ok(process::exit_code(process::run(&mut chaos)?))
}
