//! `cargo xtask chaos`: injects faults into the service and its dependencies under load, and checks the
//! invariants.
//!
//! Client threads submit and read ([`load`]) and record every answer ([`history`]) while other threads inject
//! faults: into one process with everything embedded, which is killed at random and at its crash points
//! ([`nemesis`]), or into several replicas on PostgreSQL and Kafka and all their dependencies
//! ([`production`]). Then the faults end, the service gets time to finish, is read and stopped, and a pure
//! function ([`check`]) compares the history with the bus and the database. A run whose faults did not happen
//! fails too ([`report`]).

mod canary;
mod check;
mod clients;
mod database;
mod essays;
mod history;
mod http;
mod load;
mod nemesis;
mod production;
mod report;
mod server;
mod story;
mod watch;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use testbed::process;

use story::Story;

/// Inject faults into the service under load and check the invariants
#[derive(Parser)]
#[command(name = "chaos")]
struct Args {
    /// Path of `bos`, built with the feature `crash-points`
    #[arg(long)]
    bos: PathBuf,
    /// Run several replicas on PostgreSQL and Kafka, which are started, instead of one embedded process
    #[arg(long)]
    production: bool,
    /// Duration of the faults in seconds; up to eight times as long until every crash point was reached
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Include the faults that take minutes
    #[arg(long, requires = "production")]
    long: bool,
    /// Seed of the submissions and of the fault plan; the interleaving differs in each run [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for the history, the logs and the report; an existing one is replaced
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Makes a run. True when every invariant held and every fault happened.
fn run(args: &Args) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    if args.out.exists() {
        fs::remove_dir_all(&args.out).context("removing the folder of an earlier run")?;
    }
    fs::create_dir_all(args.out.join("data"))?;
    let out = args.out.canonicalize()?;
    eprintln!("chaos for {} s with --seed {seed}", args.seconds);
    let bos = args.bos.canonicalize().context("finding the service")?;
    let time = Duration::from_secs(args.seconds);
    let report = if args.production {
        process::watch_signals()?;
        production::Story { bos, out: out.clone(), seed, long: args.long }.tell(time)?
    } else {
        Story { bos, out: out.clone(), seed }.tell(time)?
    };
    fs::write(out.join("report.md"), report.markdown())?;
    println!("{}", report.text());
    if report.passed() {
        fs::remove_dir_all(out.join("data")).context("removing the data")?;
    } else {
        println!(
            "History, logs and data are kept in {}; to repeat the plan: --seed {seed}",
            args.out.display()
        );
    }
    Ok(report.passed())
}
