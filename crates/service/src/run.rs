//! The wiring: [`run`] makes a running service from a configuration, a socket and a stop signal.
//!
//! Tests, the demo and production start in the same way. [`run`] uses no global state, so a process can run several services.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::starting::Starting;
use api::{App, Auth, credentials, serve};
use engine::ports::{Clock, SystemClock};
use engine::{Crash, Engine, Shards};
use store::Store;
use telemetry::{Metrics, Tasks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::backends::{self, Bus, Content};
use crate::config::Config;
use crate::error::Error;
use crate::settings::{accept_limits, api_settings, engine_settings};

/// The first and the longest pause between two attempts to reach a PostgreSQL at the start; chosen.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The period at which the service checks that its database file was not moved; chosen.
const FILE_CHECK_PERIOD: Duration = Duration::from_millis(500);

/// A service that has become ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address on which the API listens.
    pub address: std::net::SocketAddr,
    /// The time from the start of [`run`] to readiness.
    pub took: Duration,
}

/// Optional parts of a service, for tests, the demo and measurements. The default has none of them.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Whether the companions answer at once, without language work.
    pub instant_companions: bool,
    /// The crash point that a test has armed.
    pub crash: Crash,
    /// Whether messages wait in the outbox for the relay, as with Kafka, although the bus is embedded.
    pub by_relay: bool,
    /// The metrics that `/metrics` serves; a process has one set of them.
    pub metrics: Option<Metrics>,
}

/// Runs the service until `shutdown`, then stops it within `drain_timeout`. `ready` is called when all parts have started.
///
/// A PostgreSQL that cannot be used is waited for; meanwhile the service answers `/healthz`, and says on `/readyz` what it waits
/// for.
///
/// # Errors
/// A part cannot start, or the database file disappeared while the service ran.
pub async fn run(
    config: Config,
    listener: TcpListener,
    options: RunOptions,
    shutdown: CancellationToken,
    ready: Box<dyn FnOnce(Ready) + Send>,
) -> Result<(), Error> {
    let started = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let address = listener.local_addr().unwrap_or_else(|_| (config.host, config.port).into());
    let (tasks, starting) = (Tasks::new(), Starting::new(api_settings(&config).sampling));
    let mut serving = pin!(serve::serve_latest(
        listener,
        starting.routers(),
        accept_limits(&config),
        shutdown.clone(),
        tasks.clone()
    ));
    let opening = open(&config, &clock, &options, &starting);
    let opened = if config.database_url.is_none() {
        // An embedded database opens in milliseconds: connections wait in the system's queue instead of being refused.
        opening.await?
    } else {
        tokio::select! {
            opened = opening => opened?,
            // Stopped while it waited for its database.
            () = &mut serving => return Ok(()),
        }
    };
    let Opened { store, bus, engine, has_tokens } = opened;
    let content = Content::open(&config, bus.in_database().is_some(), options.instant_companions)?;

    let end = tasks.stop_signal();
    let replica = replica(engine.clock().now());
    let (shards, leases) =
        Shards::lease(store.clone(), replica, engine.settings(), Arc::clone(&clock), end.clone());
    tasks.spawn("leases", leases);
    tasks.spawn(
        "ingest",
        engine::ingest::run(Arc::clone(&engine), Arc::clone(&content.store), shards.clone(), end.clone()),
    );
    bus.relay(&engine, &shards, &tasks);
    tasks.spawn("consumer", engine::consumer::run(Arc::clone(&engine), bus.broker(), end.clone()));
    tasks.spawn("redrive", engine::redrive::run(Arc::clone(&engine), bus.broker(), end.clone()));
    tasks.spawn("timers", engine::timers::run(Arc::clone(&engine), shards, end.clone()));
    tasks.spawn("prune", engine::prune::run(Arc::clone(&engine), end.clone()));
    tasks.spawn("backlog", engine::backlog::run(Arc::clone(&engine), end.clone()));
    if let Some(companions) = &content.companions {
        let wanted = |name: &str| config.companions.iter().any(|companion| companion.as_str() == name);
        for (name, work) in companions.tasks(bus.broker(), Arc::clone(&content.store), clock, &end) {
            if wanted(name) {
                tasks.spawn(name, work);
            }
        }
    }

    let mut app =
        App::new(api_settings(&config), Arc::clone(&engine), content.embedded.clone(), tasks.clone())
            .with_bus(bus.broker())
            .ending_on(shutdown.clone());
    if let Some(metrics) = options.metrics {
        app = app.with_metrics(metrics);
    }
    if !has_tokens {
        tracing::warn!(
            "every request will be refused, because there is no API token yet; stop the server, and create one with \
             `bos token create --user NAME`"
        );
    }
    tasks.spawn("data folder", stop_without_file(store.clone(), shutdown.clone(), end));
    starting.finish(api::router(app));
    ready(Ready { address, took: started.elapsed() });
    serving.await;

    let missing = store.missing_file().map(Path::to_owned);
    let stuck = tasks.shutdown(config.drain_timeout).await;
    if !stuck.is_empty() {
        tracing::warn!(
            tasks = stuck.join(", "),
            "drain_timeout passed before these tasks had ended; they were stopped, and the next start continues their work"
        );
    }
    drop(engine);
    drop(content);
    bus.leave().await;
    store.close().await;
    match missing {
        Some(file) => Err(Error::FileMissing { file }),
        None => Ok(()),
    }
}

/// What needs the database to open.
struct Opened {
    store: Store,
    bus: Bus,
    engine: Arc<Engine>,
    /// Whether a caller can authenticate.
    has_tokens: bool,
}

/// Opens the database and what is in it. Waits for a PostgreSQL that cannot be used, however long that takes: a process that
/// ended instead would be started again and again.
async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    options: &RunOptions,
    starting: &Starting,
) -> Result<Opened, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match open_once(config, clock, options).await {
            Err(error) if config.database_url.is_some() => error,
            outcome => return outcome,
        };
        let Some(code) = error.store_error().filter(|error| can_pass(error)).map(store::Error::code) else {
            return Err(error);
        };
        starting.waits_for_database(code, clock.now());
        tracing::warn!(%error, code, pause_ms = pause.as_millis(), "waiting for the database; /readyz says so");
        clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether this error of the database can pass without another configuration and without a migration.
const fn can_pass(error: &store::Error) -> bool {
    match error {
        store::Error::Unavailable { .. }
        | store::Error::Full { .. }
        | store::Error::Conflict { .. }
        | store::Error::Refused { .. } => true,
        store::Error::Unfit { .. }
        | store::Error::Damaged { .. }
        | store::Error::Corrupt { .. }
        | store::Error::Rejected { .. }
        | store::Error::Defect { .. } => false,
    }
}

async fn open_once(config: &Config, clock: &Arc<dyn Clock>, options: &RunOptions) -> Result<Opened, Error> {
    let store = backends::store(config, clock).await?;
    let bus = Bus::open(config, &store).await?;
    let engine = Engine::open(
        store.clone(),
        engine_settings(config),
        Arc::clone(clock),
        bus.in_database().filter(|_| !options.by_relay),
        options.crash.clone(),
    )
    .await?;
    let has_tokens = config.auth != Auth::Token || credentials::any_exist(&store).await?;
    Ok(Opened { store, bus, engine, has_tokens })
}

/// A name of this process that no other process has, now or later.
fn replica(now: chrono::DateTime<chrono::Utc>) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}-{}-{}", std::process::id(), now.timestamp_micros())
}

/// Stops the service when its database file was moved, replaced or deleted.
async fn stop_without_file(store: Store, shutdown: CancellationToken, end: CancellationToken) {
    while store.missing_file().is_none() {
        tokio::select! {
            () = tokio::time::sleep(FILE_CHECK_PERIOD) => {}
            () = end.cancelled() => return,
        }
    }
    shutdown.cancel();
}
