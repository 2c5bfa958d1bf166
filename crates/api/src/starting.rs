//! The API of a process that waits for its database before it can start its parts.
//!
//! It answers `/healthz`, says on `/readyz` what it waits for, and refuses everything else with 503 and `Retry-After`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::health;
use crate::problem::{Code, Problem};
use crate::settings::ApiSettings;
use crate::{frame, reply};

/// The router of a process, from its start on.
#[derive(Debug)]
pub struct Starting {
    routers: watch::Sender<Router>,
    probes: watch::Sender<Router>,
    waits: Arc<Waits>,
}

/// The code of what the process waits for, and since when.
#[derive(Debug, Default)]
struct Waits(Mutex<Option<(&'static str, DateTime<Utc>)>>);

impl Starting {
    /// A process that begins to start.
    pub fn new(settings: &ApiSettings) -> Self {
        let waits = Arc::<Waits>::default();
        let handlers = Router::new()
            .route("/healthz", get(health::alive))
            .route("/v1/healthz", get(health::alive))
            .route("/readyz", get(ready))
            .route("/", any(refuse))
            .route("/{*path}", any(refuse));
        let framed = frame(handlers, settings.origins.clone(), settings.sampling);
        let router = framed.with_state(Arc::clone(&waits));
        Self { routers: watch::Sender::new(router.clone()), probes: watch::Sender::new(router), waits }
    }

    /// The latest router, for [`crate::serve::serve_latest`].
    pub fn routers(&self) -> watch::Receiver<Router> {
        self.routers.subscribe()
    }

    /// The latest router of the listener for probes.
    pub fn probes(&self) -> watch::Receiver<Router> {
        self.probes.subscribe()
    }

    /// Sets the code of the error that the database answers, for `/readyz`.
    pub fn waits_for_database(&self, code: &'static str, now: DateTime<Utc>) {
        let mut waits = self.waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = waits.map_or(now, |(_, since)| since);
        *waits = Some((code, since));
    }

    /// Has new connections served by the whole API, and those of probes by its probes.
    pub fn finish(&self, router: Router, probes: Router) {
        drop(self.routers.send_replace(router));
        drop(self.probes.send_replace(probes));
    }
}

async fn ready(State(waits): State<Arc<Waits>>) -> Result<Response, Problem> {
    let waits = *waits.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut response = last(reply::document(&health::starting(waits))?);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    Ok(response)
}

async fn refuse() -> Response {
    let detail = "The service is starting and waits for its database; nothing was stored. Send the same request again.";
    let problem = Problem::new(Code::Unavailable, detail).with_retry_after(Duration::from_secs(2));
    last(problem.into_response())
}

/// The last answer of its connection: a connection keeps this router, and the next one may get the whole API.
fn last(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
