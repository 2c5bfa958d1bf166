//! The wiring: [`run`] makes a running service from a configuration, a socket and a stop signal.
//!
//! Tests, the demo and production start in the same way. [`run`] uses no global state, so a process can run several services.

mod opening;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::starting::Starting;
use api::{App, serve};
use engine::ports::{Clock, SystemClock};
use engine::{Crash, Shards};
use store::Store;
use telemetry::{Metrics, Tasks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::backends::{self, Content};
use crate::config::Config;
use crate::error::Error;
use crate::settings::{accept_limits, api_settings, probe_limits};
use opening::{Opened, open};

/// The period at which the service checks that its database file was not moved; chosen.
const FILE_CHECK_PERIOD: Duration = Duration::from_millis(500);

/// The longest wait for the listener for probes, which ends within a second.
const PROBES_END: Duration = Duration::from_secs(2);

/// A service that has become ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address on which the API listens.
    pub address: SocketAddr,
    /// The address on which probes are answered, if they have a listener of their own.
    pub probes: Option<SocketAddr>,
    /// The time from the start of [`run`] to readiness.
    pub took: Duration,
}

/// Optional parts of a service, for tests, the demo and measurements. The default has none of them.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// Whether the companions answer at once, without language work.
    pub instant_companions: bool,
    /// The crash point that a test has armed.
    pub crash: Crash,
    /// Whether messages wait in the outbox for the relay, as with Kafka, although the bus is embedded.
    pub by_relay: bool,
    /// The metrics that `/metrics` serves; a process has one set of them.
    pub metrics: Option<Metrics>,
    /// The listener for probes alone.
    pub probes: Option<TcpListener>,
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
    mut options: RunOptions,
    shutdown: CancellationToken,
    ready: Box<dyn FnOnce(Ready) + Send>,
) -> Result<(), Error> {
    let started = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let address = listener.local_addr().unwrap_or_else(|_| (config.host, config.port).into());
    let limits = accept_limits(&config);
    let (tasks, probes) = (Tasks::new(), Tasks::new());
    let starting = Starting::new(&api_settings(&config));
    let probe_address = options.probes.as_ref().and_then(|listener| listener.local_addr().ok());
    if let Some(listener) = options.probes.take() {
        let (limits, end) = (probe_limits(limits), probes.stop_signal());
        let serving = serve::serve_latest(listener, starting.probes(), limits, end, probes.clone());
        probes.spawn("probes", serving);
    }
    let mut serving =
        pin!(serve::serve_latest(listener, starting.routers(), limits, shutdown.clone(), tasks.clone()));
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
    if let Some(lifecycle) = backends::lifecycle(&config, content.companions.as_ref())? {
        let inquiry = engine::inquiry::run(Arc::clone(&engine), lifecycle, shards.clone(), end.clone());
        tasks.spawn("inquiry", inquiry);
    }
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
            "every request will be refused, because there is no API token that was created with authentication or at the \
             database; stop the server, and create one with \
             `bos token create --user NAME`"
        );
    }
    tasks.spawn("data folder", stop_without_file(store.clone(), shutdown.clone(), end));
    starting.finish(api::router(app.clone()), api::probe_router(app));
    ready(Ready { address, probes: probe_address, took: started.elapsed() });
    serving.await;

    let missing = store.missing_file().map(Path::to_owned);
    let stuck = tasks.shutdown(config.drain_timeout).await;
    if !stuck.is_empty() {
        tracing::warn!(
            tasks = stuck.join(", "),
            "drain_timeout passed before these tasks had ended; they were stopped, and the next start continues their work"
        );
    }
    // Until here probes see that the process is alive and no longer ready.
    probes.shutdown(PROBES_END).await;
    drop(engine);
    drop(content);
    bus.leave().await;
    store.close().await;
    match missing {
        Some(file) => Err(Error::FileMissing { file }),
        None => Ok(()),
    }
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
