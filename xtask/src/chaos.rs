//! `cargo xtask chaos`: builds the service with crash points, and kills it under load.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use anyhow::Result;
use testbed::{Kafka, Postgres, process};

use crate::workspace;

/// Break the service and all that it needs under load, and check every promise
///
/// Three replicas on PostgreSQL and Kafka, or one process with everything embedded; history, logs and report go to
/// target/chaos-production/ or target/chaos/. Fails when a promise is broken, and also when the faults did not happen. `docs/reliability.md` says what is promised
/// and how to read the table.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// With the embedded database, bus and neighbours
    #[arg(long)]
    embedded: bool,
    /// With the faults that take minutes besides, for a quarter of an hour unless `--seconds` says longer
    #[arg(long, conflicts_with = "embedded")]
    long: bool,
    /// How long faults last, in seconds; longer, while something that has to happen has not
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Draw the same submissions and faults as the run that printed this number
    #[arg(long)]
    seed: Option<u64>,
}

/// Each fault comes twice or so in that time.
const LONG_SECONDS: u64 = 900;

impl Args {
    /// A run short enough to be made at every change.
    pub(crate) const fn short(embedded: bool) -> Self {
        Self { embedded, long: false, seconds: 20, seed: None }
    }
}

/// Builds, runs, and gives the exit code of the first step that fails.
///
/// A debug build: what it lacks in speed it has in assertions, the tests have compiled most of it already, and no program
/// with crash points ever lies where release builds do.
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
