//! `cargo xtask bench`: the table of numbers, each beside the limit of the machine it was measured on.
//!
//! The machine is small and shared with the load, and it drifts; so every limit is measured in the same rounds as what
//! stands beside it, and the load costs as little as it can ([`http`], [`load`]). The companions answer at once, without
//! language work: what is measured is the orchestrator.

mod essays;
mod http;
mod limit;
mod load;
mod report;
mod row;
mod serve;
mod server;
mod visitor;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Parser;

use limit::postgres::BatchRate;
use report::Report;
use row::{Row, Setting};

#[derive(Parser)]
#[command(name = "bench")]
enum Task {
    /// Measure; `cargo xtask bench` gives what this needs
    Measure(Measure),
    /// The service with instant companions, as a measured process
    #[command(hide = true)]
    ServeInstant(serve::Args),
    /// The bare HTTP stack, as a measured process
    #[command(hide = true)]
    ServeHello(serve::Args),
}

#[derive(clap::Args)]
struct Measure {
    /// The `bos` program of the release build
    #[arg(long)]
    bos: PathBuf,
    /// Folder of the report; data goes below it while the run lasts
    #[arg(long)]
    out: PathBuf,
    /// A `PostgreSQL` for the batch rate
    #[arg(long, requires = "pgbench", value_name = "URL")]
    postgres: Option<String>,
    /// pgbench, for the batch rate
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// Smaller sizes and one round, for a look
    #[arg(long)]
    quick: bool,
    /// Rounds of every row
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Measure(args) => measure(&args),
        Task::ServeInstant(args) => serve::instant(&args),
        Task::ServeHello(args) => serve::hello(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Measure) -> Result<()> {
    let data = args.out.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).context("removing the data of an earlier run")?;
    }
    fs::create_dir_all(&data)?;
    let rounds = if args.quick { 1 } else { usize::from(args.rounds) };
    let mut report = Report {
        machine: machine(),
        companions: "instant: they answer at once, without language work",
        rounds,
        quick: args.quick,
        figures: Vec::new(),
        left_out: Vec::new(),
    };
    println!("machine:    {}\ncompanions: {}\nrounds:     {rounds}\n", report.machine, report.companions);

    let batch_rate = args.postgres.as_deref().zip(args.pgbench.as_deref());
    let batch_rate = batch_rate.map(|(url, pgbench)| BatchRate::prepare(url, pgbench)).transpose()?;
    if batch_rate.is_none() {
        report.left_out.push("the batch rate: install pgbench (Debian: postgresql-contrib)".to_owned());
    }
    let setting =
        Setting { bos: &args.bos, data: &data, batch_rate: batch_rate.as_ref(), rounds, quick: args.quick };
    let rows = if args.only.is_empty() { Row::ALL } else { &args.only };
    for row in rows {
        let begun = Instant::now();
        let name = clap::ValueEnum::to_possible_value(row).map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        let figures = row.measure(&setting).with_context(|| format!("measuring {name}"))?;
        eprintln!("measured {name} in {:.0} s", begun.elapsed().as_secs_f64());
        report.figures.extend(figures);
        write(&report, &args.out)?;
    }
    println!("\n{}", report.table());
    for line in &report.left_out {
        println!("left out: {line}");
    }
    println!("written: {}", args.out.join("report.json").display());
    fs::remove_dir_all(&data).context("removing the data")
}

fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::write(folder.join("report.json"), serde_json::to_vec_pretty(report)?)?;
    fs::write(folder.join("report.md"), report.markdown())?;
    Ok(())
}

/// What kind of machine this is; not which one.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let processor = processor.map_or("", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores {processor}, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}
