//! `cargo xtask chaos`: breaks the service and what it needs under load, and checks what it promised.
//!
//! Threads hand in and look ([`load`]) and write down what they were told ([`history`]) while others do harm: to one process
//! with everything embedded, which is killed at random and at its crash points ([`nemesis`]), or to several on `PostgreSQL` and
//! Kafka and to everything that they need ([`production`]). Then nobody does harm any more, the service gets time to finish, is
//! read and stopped, and a pure function ([`check`]) holds the history against the bus and the database. A run whose faults
//! did not happen fails too ([`report`]).

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

/// Kill the service under load and check what it promised.
#[derive(Parser)]
#[command(name = "chaos")]
struct Args {
    /// The `bos` program, built with the feature `crash-points`
    #[arg(long)]
    bos: PathBuf,
    /// Several replicas on PostgreSQL and Kafka, which are started here, instead of one with everything embedded
    #[arg(long)]
    production: bool,
    /// How long faults last, in seconds; up to eight times as long while some crash point has not been reached
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// With the faults that take minutes, of production only
    #[arg(long, requires = "production")]
    long: bool,
    /// Draws the submissions and the faults; the same seed makes the same plan, though not the same interleaving
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for the history, the service's log and the report; made anew
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

/// Says whether every promise was kept under faults that did happen.
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
        println!("History, log and data are kept in {}; run again with --seed {seed}", args.out.display());
    }
    Ok(report.passed())
}
