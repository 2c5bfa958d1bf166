//! The wiring: a configuration, a socket and a stop signal make a running service.
//!
//! Tests, the demo and production start alike: [`run`] takes what it needs and owns nothing global.

#[cfg(feature = "kafka")]
pub mod companions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::ports::{Clock, SystemClock};
use engine::{Crash, Engine, Shards};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::words::{Auth, Companion, Language};
use crate::http::{self, App};
use crate::neighbours::{self, Bus, Content};
use crate::serve;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::tokens;

/// How often the service looks whether its database is where it was.
const LOOK_AFTER_FILE: Duration = Duration::from_millis(500);

/// Why the service cannot start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used ({}); choose another with --data-dir", folder.display(), source.kind())]
    DataFolder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database's file is not where it was.
    #[error(
        "{} is not where it was: it was moved, replaced or deleted while the service ran, so nobody would find what is written \
         to it; put it back and start again", file.display()
    )]
    FileMissing {
        /// Which file.
        file: PathBuf,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The engine cannot start.
    #[error("the engine cannot start")]
    Engine(#[from] engine::Error),
    /// The companions cannot start.
    #[error(transparent)]
    Companions(#[from] ::companions::Error),
    /// The client of the Content Service cannot be made.
    #[error("the client of the Content Service cannot be made")]
    Content(#[from] reqwest::Error),
    /// The client of Kafka cannot be made.
    #[cfg(feature = "kafka")]
    #[error("the client of Kafka cannot be made: {}", crate::kafka::settings::of_creation(source))]
    Kafka {
        /// What librdkafka said. Not shown as it is: it repeats values, and a password is one.
        source: rdkafka::error::KafkaError,
    },
}

#[cfg(feature = "kafka")]
impl From<rdkafka::error::KafkaError> for Error {
    fn from(source: rdkafka::error::KafkaError) -> Self {
        Self::Kafka { source }
    }
}

impl Error {
    /// Whether other settings mend it, such as another data folder.
    pub const fn is_of_the_configuration(&self) -> bool {
        matches!(self, Self::DataFolder { .. } | Self::Store(store::Error::Unfit { .. }))
    }
}

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
    let config = Arc::new(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = neighbours::store(&config, &clock).await?;
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
    let mut app = App::new(Arc::clone(&config), Arc::clone(&engine), content.embedded.clone(), tasks.clone())
        .with_bus(bus.broker())
        .ending_on(shutdown.clone());
    if let Some(metrics) = extras.metrics {
        app = app.with_metrics(metrics);
    }
    let router = http::router(app);
    if config.auth == Auth::Token && !tokens::are_there(&store).await? {
        tracing::warn!(
            "nobody can call: there is no token yet; stop, and make one with `bos token create --user NAME`"
        );
    }
    tasks.spawn("data folder", stop_without_its_file(store.clone(), shutdown.clone(), end));
    ready(Ready { address, took: started.elapsed() });
    serve::serve(listener, router, serve::Limits::from(&*config), shutdown, tasks.clone()).await;

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

/// The engine's part of the configuration.
pub(crate) fn engine_settings(config: &Config) -> engine::Settings {
    let rules = domain::Settings {
        start_timeout: domain::PerPhase::all(config.start_timeout),
        phase_timeout: domain::PerPhase {
            spellcheck: config.phase_timeout_spellcheck.unwrap_or(config.phase_timeout),
            nlp: config.phase_timeout_nlp.unwrap_or(config.phase_timeout),
            ai_feedback: config.phase_timeout_ai_feedback.unwrap_or(config.phase_timeout),
            cj_assessment: config.phase_timeout_cj_assessment.unwrap_or(config.phase_timeout),
        },
        registration_timeout: config.start_timeout,
        outcome_grace: config.outcome_grace,
        served: served(config),
        registration: config.els_registration,
        // The embedded lifecycle service takes failed essays again.
        els_retries: config.els_retries || config.kafka_bootstrap_servers.is_none(),
    };
    engine::Settings {
        default_language: match config.default_language {
            Language::En => domain::Language::En,
            Language::Sv => domain::Language::Sv,
        },
        default_course_en: config.default_course_en.clone(),
        default_course_sv: config.default_course_sv.clone(),
        events_include_class_context: config.events_include_class_context,
        nlp_command_version: u8::try_from(config.nlp_command_version).unwrap_or(2),
        relay_period: config.relay_period,
        timer_period: config.timer_period,
        retry_limit: config.retry_limit,
        retry_first: config.retry_first_delay,
        retry_longest: config.retry_max_delay,
        staged_bytes_cap: config.max_staged_size.as_u64(),
        outbox_rows_cap: u64::from(config.max_outbox_rows.get()),
        backlog_resume_percent: config.backlog_resume_percent,
        message_timeout: config.kafka_message_timeout,
        lease: config.lease_ttl,
        lease_renewal: config.lease_renewal,
        keep_batches: config.ended_batch_retention,
        keep_sent: config.sent_event_retention,
        keep_inbox: config.inbox_retention,
        keep_answers: config.idempotency_retention,
        ..engine::Settings::with_rules(rules)
    }
}

/// The phases that somebody serves: all of them beyond Kafka, whoever that is; on the embedded bus those of the companions.
fn served(config: &Config) -> domain::PhaseSet {
    if config.kafka_bootstrap_servers.is_some() {
        return domain::Phase::ALL.iter().copied().collect();
    }
    config
        .companions
        .iter()
        .filter_map(|companion| match companion {
            Companion::Spellcheck => Some(domain::Phase::Spellcheck),
            Companion::Nlp => Some(domain::Phase::Nlp),
            Companion::Content | Companion::Lifecycle => None,
        })
        .collect()
}
