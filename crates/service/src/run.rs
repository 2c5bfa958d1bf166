//! The wiring: [`run`] makes a running service from a configuration, a socket and a stop signal.
//!
//! Tests, the demo and production start in the same way. [`run`] uses no global state, so a process can run several services.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
pub struct Extras {
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
/// # Errors
/// A part cannot start, and nothing listens then; or the database file disappeared while the service ran.
pub async fn run(
    config: Config,
    listener: TcpListener,
    extras: Extras,
    shutdown: CancellationToken,
    ready: impl FnOnce(Ready) + Send,
) -> Result<(), Error> {
    let started = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = backends::store(&config, &clock).await?;
    let bus = Bus::open(&config, &store).await?;
    let is_embedded = bus.in_database().is_some();
    let engine = Engine::open(
        store.clone(),
        engine_settings(&config),
        Arc::clone(&clock),
        bus.in_database().filter(|_| !extras.by_relay),
        extras.crash,
    )
    .await?;
    let content = Content::open(&config, is_embedded, extras.instant_companions)?;

    let tasks = Tasks::new();
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

    let address = listener.local_addr().unwrap_or_else(|_| (config.host, config.port).into());
    let mut app =
        App::new(api_settings(&config), Arc::clone(&engine), content.embedded.clone(), tasks.clone())
            .with_bus(bus.broker())
            .ending_on(shutdown.clone());
    if let Some(metrics) = extras.metrics {
        app = app.with_metrics(metrics);
    }
    let router = api::router(app);
    if config.auth == Auth::Token && !credentials::any_exist(&store).await? {
        tracing::warn!(
            "every request will be refused, because there is no API token yet; stop the server, and create one with \
             `bos token create --user NAME`"
        );
    }
    tasks.spawn("data folder", stop_without_file(store.clone(), shutdown.clone(), end));
    ready(Ready { address, took: started.elapsed() });
    serve::serve(listener, router, accept_limits(&config), shutdown, tasks.clone()).await;

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
