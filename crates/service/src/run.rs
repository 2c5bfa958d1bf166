//! The wiring: a configuration, a socket and a stop signal make a running service.
//!
//! Tests, the demo and production start alike: [`run`] takes what it needs and owns nothing global.

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

/// How often the service looks whether its database is where it was.
const LOOK_AFTER_FILE: Duration = Duration::from_millis(500);

/// What runs, for whoever announces it.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where the API listens.
    pub address: std::net::SocketAddr,
    /// From the start of [`run`] to readiness.
    pub took: Duration,
}

/// What not every caller of [`run`] wants.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The companions answer at once, without language work.
    pub instant_companions: bool,
    /// Where to stop dead.
    pub crash: Crash,
    /// What units send waits in the outbox for the relay, as it does on a bus that is not in our own database.
    pub by_relay: bool,
    /// The figures that `/metrics` shows; there is one set of them in a process.
    pub metrics: Option<Metrics>,
}

/// Runs the service until `shutdown`, then stops it within the drain time. `ready` is called once everything works.
///
/// # Errors
/// When something cannot start; nothing is listening then.
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
    if config.auth == Auth::Token && !credentials::are_there(&store).await? {
        tracing::warn!(
            "nobody can call: there is no token yet; stop, and make one with `bos token create --user NAME`"
        );
    }
    tasks.spawn("data folder", stop_without_its_file(store.clone(), shutdown.clone(), end));
    ready(Ready { address, took: started.elapsed() });
    serve::serve(listener, router, accept_limits(&config), shutdown, tasks.clone()).await;

    let missing = store.missing_file().map(Path::to_owned);
    let stuck = tasks.shutdown(config.drain_timeout).await;
    if !stuck.is_empty() {
        tracing::warn!(
            tasks = stuck.join(", "),
            "stopped before these had ended; the next start goes on where they were"
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

/// A name that no other process has, now or later.
fn replica(now: chrono::DateTime<chrono::Utc>) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}-{}-{}", std::process::id(), now.timestamp_micros())
}

/// Stops the service once its database is not where it was.
async fn stop_without_its_file(store: Store, shutdown: CancellationToken, end: CancellationToken) {
    while store.missing_file().is_none() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_AFTER_FILE) => {}
            () = end.cancelled() => return,
        }
    }
    shutdown.cancel();
}
