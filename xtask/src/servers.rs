//! `cargo xtask servers`, and the servers that other tasks start.

use std::{
    fmt,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use testbed::{Kafka, Postgres, kafka::tls, process};

/// Start `PostgreSQL` and Kafka for manual tests, and keep them until Ctrl-C
///
/// Prints the variables that connect `bos` to them. Both start empty, and are removed with their data at the end. A server
/// that `BOS_TEST_DATABASE_URL` or `BOS_TEST_KAFKA` names is used as it is, and neither started nor removed.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// How often to check that the servers still run.
const CHECK_PERIOD: Duration = Duration::from_millis(100);

/// Runs the servers until a stop signal, which is the normal end of this task.
pub(crate) fn run(_: &Args) -> Result<u8> {
    let (mut servers, ()) = Servers::start_while(|| Ok(()))?;
    println!("export DATABASE_URL={}", servers.postgres.url());
    println!("export KAFKA_BOOTSTRAP_SERVERS={}", servers.kafka.bootstrap_servers());
    if let Some(tls) = servers.kafka.tls() {
        println!("# or, with TLS and SCRAM, as user {}:", tls::USER);
        println!("# export KAFKA_BOOTSTRAP_SERVERS={}", tls.sasl_ssl);
        for (key, value) in [
            ("SECURITY_PROTOCOL", "sasl_ssl"),
            ("SASL_USERNAME", tls::USER),
            ("SASL_PASSWORD", tls::PASSWORD),
            ("SSL_CA_LOCATION", &tls.authority.to_string_lossy()),
        ] {
            println!("# export BATCH_ORCHESTRATOR_SERVICE_KAFKA_{key}={value}");
        }
    }
    eprintln!("Ctrl-C stops the servers that were started, and removes their data");
    while !process::was_interrupted() {
        servers.postgres.check()?;
        servers.kafka.check()?;
        thread::sleep(CHECK_PERIOD);
    }
    Ok(0)
}

/// The servers that tests need.
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) kafka: Kafka,
}

impl Servers {
    /// Starts both servers while `work` runs. Fails before anything starts if a program is not installed.
    pub(crate) fn start_while<T>(work: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        Postgres::prepare()?;
        Kafka::prepare()?;
        thread::scope(|scope| {
            let postgres = scope.spawn(|| start_and_report(Postgres::start));
            let kafka = scope.spawn(|| start_and_report(Kafka::start));
            let done = work();
            let (postgres, kafka) = (join(postgres), join(kafka));
            Ok((Self { postgres: postgres?, kafka: kafka? }, done?))
        })
    }
}

fn start_and_report<T: fmt::Display>(start: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let server = start()?;
    eprintln!("started: {server} in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(server)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
