//! `cargo xtask bench`: measures the service, and compares each figure with a limit of the same machine.
//!
//! The machine is small, its speed varies, and the load runs on it too. So every limit is measured in the same rounds as its
//! figure, and the load uses little processor time ([`http`], [`load`]). The companions answer at once, without language work,
//! so that the orchestrator is measured.

mod essays;
mod http;
mod limit;
mod load;
mod production;
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
};

use anyhow::{Context, Result};
use clap::Parser;
use testbed::process;

use limit::postgres::Pgbench;
use report::Report;
use row::{Row, Setting};

/// The same allocator as in `bos`, because this program also runs the service, in a process of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "bench")]
enum Task {
    /// Measure the embedded service; run it by `cargo xtask bench`, which passes the arguments
    Measure {
        #[command(flatten)]
        args: Measure,
        /// Measure only these rows, separated by commas
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Row>,
    },
    /// Measure on `PostgreSQL` and Kafka; run it by `cargo xtask bench --production`, which passes the arguments
    MeasureProduction {
        #[command(flatten)]
        args: Measure,
        /// Measure only these rows, separated by commas
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<production::Row>,
        /// Path of the simulation's program
        #[arg(long, value_name = "FILE")]
        simulation: PathBuf,
    },
    /// Serve with instant companions, as a measured process
    #[command(hide = true)]
    ServeInstant(serve::Args),
    /// Serve a constant with the bare HTTP stack, as a measured process
    #[command(hide = true)]
    ServeHello(serve::Args),
}

/// The arguments of every measurement.
#[derive(clap::Args)]
#[group(skip)] // A command of the same name has a group already.
struct Measure {
    /// Path of the `bos` program of the release build
    #[arg(long)]
    bos: PathBuf,
    /// Folder of the report, and of the data during the run
    #[arg(long)]
    out: PathBuf,
    /// URL of a `PostgreSQL` whose user may create databases
    #[arg(long, requires = "pgbench", value_name = "URL")]
    postgres: Option<String>,
    /// Path of its pgbench, which measures the limits
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// Use smaller sizes and one round, for a first impression
    #[arg(long)]
    quick: bool,
    /// Number of rounds of every row
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Measure { args, only } => embedded(&args, &only),
        Task::MeasureProduction { args, only, simulation } => production(&args, &only, &simulation),
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

fn embedded(args: &Measure, only: &[Row]) -> Result<()> {
    args.measure("report", "instant, in the service's process", |setting, report| {
        if setting.pgbench.is_none() {
            report.left_out.push("the batch rate: install pgbench (Debian: postgresql-contrib)".to_owned());
        }
        let rows = if only.is_empty() { Row::ALL } else { only };
        for row in rows {
            report.measured(row, || row.measure(setting))?;
        }
        Ok(())
    })
}

fn production(args: &Measure, only: &[production::Row], simulation: &Path) -> Result<()> {
    let postgres = args.postgres.as_deref().context("--postgres and --pgbench are required")?;
    args.measure("production", "instant, in a process of their own", |setting, report| {
        let kafka = testbed::kafka::Server::start()?;
        let place = production::Place { setting, postgres, kafka: &kafka.bootstrap_servers(), simulation };
        place.warm_up()?;
        let rows = if only.is_empty() { production::Row::ALL } else { only };
        for row in rows {
            report.measured(row, || row.measure(&place))?;
        }
        Ok(())
    })
}

impl Measure {
    /// Empties the data folder, measures `rows`, and prints the report and writes it under `name`.
    fn measure(
        &self,
        name: &'static str,
        companions: &'static str,
        rows: impl FnOnce(&Setting<'_>, &mut Report) -> Result<()>,
    ) -> Result<()> {
        // At a stop signal the started processes end too.
        process::watch_signals()?;
        let data = self.out.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).context("removing the data of an earlier run")?;
        }
        fs::create_dir_all(&data)?;
        let rounds = if self.quick { 1 } else { usize::from(self.rounds) };
        let mut report = Report::new(&self.out, name);
        report.machine = machine();
        report.companions = companions;
        report.rounds = rounds;
        report.quick = self.quick;
        println!("machine:    {}\ncompanions: {companions}\nrounds:     {rounds}\n", report.machine);
        let pgbench = self.postgres.as_deref().zip(self.pgbench.as_deref());
        let pgbench = pgbench.map(|(url, pgbench)| Pgbench::prepare(url, pgbench)).transpose()?;
        let setting =
            Setting { bos: &self.bos, data: &data, pgbench: pgbench.as_ref(), rounds, quick: self.quick };
        rows(&setting, &mut report)?;
        println!("\n{}", report.table());
        for line in &report.left_out {
            println!("left out: {line}");
        }
        println!("written: {}", report.file("json").display());
        fs::remove_dir_all(&data).context("removing the data")
    }
}

/// The kind of the machine: cores, processor, operating system.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let processor = processor.map_or("", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores {processor}, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}
