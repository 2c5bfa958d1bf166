//! `/healthz`, `/readyz`, `/metrics`: for whoever watches the process.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::problem::Problem;
use super::reply;
use crate::serve::CONNECTION;

/// Whether the service can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// `ok`, `unavailable`, or `unfit` where the tables are not this program's.
    store: &'static str,
    /// The background tasks with how many of each are alive; 0 means that one has died.
    tasks: Vec<Alive>,
    /// Neighbours that could not be used when they were last asked. Work waits for them and the service stays ready.
    degraded: Vec<Degraded>,
}

/// A neighbour that cannot be used just now.
#[derive(Debug, Serialize, ToSchema)]
struct Degraded {
    /// Which: `content`, `bus`.
    name: &'static str,
    /// Why, as a stable code.
    code: &'static str,
    /// When that was first met, if anything of ours has met it.
    since: Option<DateTime<Utc>>,
}

/// A background task.
#[derive(Debug, Serialize, ToSchema)]
struct Alive {
    name: &'static str,
    alive: usize,
}

/// Alive
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "health",
    responses((status = 200, description = "The process answers.", body = serde_json::Value, example = json!({"status": "ok"}))),
)]
pub(crate) async fn alive() -> Response {
    reply::json(Bytes::from_static(br#"{"status":"ok"}"#))
}

/// Ready
///
/// Looks at the store and at every background task. A neighbour that is away is named and changes nothing.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readiness",
    responses(
        (status = 200, description = "The service can do its work.", body = Readiness),
        (status = 503, description = "It cannot; `store` and `tasks` say why.", body = Readiness),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let store = match app.engine().store().schema().await {
        Ok(Some((_, min_reader))) if min_reader <= store::SCHEMA => reachable(&app).await,
        Ok(_) => "unfit",
        Err(_) => "unavailable",
    };
    let tasks: Vec<Alive> = app
        .tasks()
        .report()
        .into_iter()
        .filter(|(name, _)| *name != CONNECTION)
        .map(|(name, alive)| Alive { name, alive })
        .collect();
    let ready = store == "ok" && tasks.iter().all(|task| task.alive > 0) && !app.ending().is_cancelled();
    let status = if ready { "ready" } else { "not_ready" };
    let content = app.engine().content_outage().map(|trouble| (trouble.code, Some(trouble.since)));
    let neighbours = [("content", content), ("bus", app.bus_trouble())];
    let degraded = neighbours
        .into_iter()
        .filter_map(|(name, trouble)| trouble.map(|(code, since)| Degraded { name, code, since }))
        .collect();
    let mut response = reply::document(&Readiness { status, store, tasks, degraded })?;
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

async fn reachable(app: &App) -> &'static str {
    let read = app.engine().store().read(|tx| Box::pin(async move { tx.staged_depth().await })).await;
    match read {
        Ok(_) => "ok",
        Err(error) => {
            let error: store::Error = error;
            tracing::warn!(%error, "the store does not answer");
            "unavailable"
        }
    }
}

/// Figures
///
/// In Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn figures(State(app): State<App>) -> Response {
    engine::metrics::outage("bus", app.bus_trouble().is_some());
    engine::metrics::outage("content", app.engine().content_outage().is_some());
    let text = app.metrics().map(telemetry::Metrics::render).unwrap_or_default();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
