//! The companions as a process of their own, over Kafka and HTTP: stand-ins for the platform's services.

use std::sync::{Arc, Mutex, PoisonError};

use ::companions::{CompanionSettings, Companions, LifecycleService, Misbehaviour};
use api::serve;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine::ports::{Clock, LifecycleError, LifecycleStatus as _, SystemClock};
use kafka::{KafkaBroker, settings::KafkaSettings};
use serde_json::json;
use telemetry::Tasks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::settings::{accept_limits, body_limits, origins};

/// How the companions behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompanionBehaviour {
    /// Whether they answer at once, without language work.
    pub instant: bool,
    /// The faults that they inject.
    pub misbehaviour: Misbehaviour,
}

impl CompanionBehaviour {
    /// Companions that answer at once and inject no faults.
    pub fn instant() -> Self {
        Self { instant: true, ..Self::default() }
    }
}

/// Runs the companions on this Kafka until `shutdown`, with the Content Service at `listener`.
///
/// `ready` is called when the Content Service listens and the consumers run.
///
/// # Errors
/// The data folder, the companions' database or the Kafka client cannot be used.
pub async fn run(
    config: Config,
    kafka: KafkaSettings,
    listener: TcpListener,
    behaviour: CompanionBehaviour,
    shutdown: CancellationToken,
    ready: impl FnOnce() + Send,
) -> Result<(), Error> {
    let folder = &config.data_dir;
    std::fs::create_dir_all(folder).map_err(|source| Error::DataFolder { folder: folder.clone(), source })?;
    let settings = CompanionSettings {
        instant: behaviour.instant,
        hunspell_dir: config.hunspell_dir.clone(),
        misbehaviour: behaviour.misbehaviour,
        retries: config.els_retries,
    };
    let companions = Companions::open(&folder.join("companions.db"), settings)?;
    let broker = Arc::new(KafkaBroker::new(kafka)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let tasks = Tasks::new();
    let end = tasks.stop_signal();
    let wanted = |name: &str| config.companions.iter().any(|companion| companion.as_str() == name);
    for (name, work) in
        companions.tasks(Arc::<KafkaBroker>::clone(&broker), companions.content(), clock, &end)
    {
        if wanted(name) {
            tasks.spawn(name, work);
        }
    }
    let router = api::content_router(companions.content(), body_limits(&config), origins(&config, true))
        .merge(lifecycle_router(companions.lifecycle()))
        .layer(middleware::from_fn_with_state(FaultInjector::new(behaviour.misbehaviour), inject_faults));
    ready();
    serve::serve(listener, router, accept_limits(&config), shutdown, tasks.clone()).await;
    let stuck = tasks.shutdown(config.drain_timeout).await;
    if !stuck.is_empty() {
        tracing::warn!(
            companions = stuck.join(", "),
            "drain_timeout passed before these companions had ended; they were stopped"
        );
    }
    broker.leave().await;
    Ok(())
}

/// The question of the lifecycle service that BOS asks (`els_url`).
fn lifecycle_router(lifecycle: LifecycleService) -> Router {
    Router::new().route("/v1/batches/{batch_id}/status", get(batch_status)).with_state(lifecycle)
}

/// Answers as the platform's lifecycle service does, as far as BOS reads it.
async fn batch_status(State(lifecycle): State<LifecycleService>, Path(batch): Path<Uuid>) -> Response {
    match lifecycle.statuses(batch).await {
        Ok(statuses) => {
            Json(json!({ "batch_id": batch, "status_breakdown": statuses.counts() })).into_response()
        }
        Err(LifecycleError::UnknownBatch) => {
            (StatusCode::NOT_FOUND, Json(json!({ "error": "Batch Not Found" }))).into_response()
        }
        Err(LifecycleError::Unavailable { .. }) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Decides at random, from a seed, which requests to the Content Service fail.
#[derive(Debug, Clone)]
struct FaultInjector {
    fail_rate: f64,
    random: Arc<Mutex<fastrand::Rng>>,
}

impl FaultInjector {
    fn new(how: Misbehaviour) -> Self {
        let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(how.seed)));
        Self { fail_rate: how.content_fail_rate, random }
    }

    fn should_fail(&self) -> bool {
        self.fail_rate > 0.0
            && self.random.lock().unwrap_or_else(PoisonError::into_inner).f64() < self.fail_rate
    }
}

/// Answers some requests with 503 before they reach the Content Service.
async fn inject_faults(State(injector): State<FaultInjector>, request: Request, next: Next) -> Response {
    if injector.should_fail() {
        return (StatusCode::SERVICE_UNAVAILABLE, "injected fault (--content-fail-rate)").into_response();
    }
    next.run(request).await
}
