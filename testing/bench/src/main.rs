//! `cargo xtask bench`: the table of numbers, each beside the limit of the machine it was measured on.
//!
//! The machine is small and shared with the load, and it drifts; so every limit is measured in the same rounds as what
//! stands beside it, and the load costs as little as it can ([`http`], [`load`]). The companions answer at once, without
//! language work: what is measured is the orchestrator.

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

/// The allocator of the service, which this program runs in a process of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "bench")]
enum Task {
    /// Measure with everything embedded; `cargo xtask bench` gives what this needs
    Measure {
        #[command(flatten)]
        args: Measure,
        /// Only these rows
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Row>,
    },
    /// Measure on `PostgreSQL` and Kafka; `cargo xtask bench --production` gives what this needs
    MeasureProduction {
        #[command(flatten)]
        args: Measure,
        /// Only these rows
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<production::Row>,
        /// The program of `cargo xtask simulate`
        #[arg(long, value_name = "FILE")]
        simulation: PathBuf,
    },
    /// The service with instant companions, as a measured process
    #[command(hide = true)]
    ServeInstant(serve::Args),
    /// The bare HTTP stack, as a measured process
    #[command(hide = true)]
    ServeHello(serve::Args),
}

/// What measuring needs, whatever is measured.
#[derive(clap::Args)]
struct Measure {
    /// The `bos` program of the release build
    #[arg(long)]
    bos: PathBuf,
    /// Folder of the report; data goes below it while the run lasts
    #[arg(long)]
    out: PathBuf,
    /// A `PostgreSQL` whose user may make databases
    #[arg(long, requires = "pgbench", value_name = "URL")]
    postgres: Option<String>,
    /// Its pgbench, for the limits
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// Smaller sizes and one round, for a look
    #[arg(long)]
    quick: bool,
    /// Rounds of every row
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
    let postgres = args.postgres.as_deref().context("a PostgreSQL with pgbench is needed")?;
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
    /// Makes room for the data, runs `rows`, and shows and keeps what they measured under `name`.
    fn measure(
        &self,
        name: &'static str,
        companions: &'static str,
        rows: impl FnOnce(&Setting<'_>, &mut Report) -> Result<()>,
    ) -> Result<()> {
        // What is started ends with the run, however the run ends.
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

/// What kind of machine this is; not which one.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let processor = processor.map_or("", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores {processor}, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}
