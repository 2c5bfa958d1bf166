//! `/healthz`, `/readyz` and `/metrics`: liveness, readiness and metrics of the process.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use client::documents::{Alive, Degraded, Readiness};

use super::app::App;
use super::problem::Problem;
use super::reply;
use crate::serve::CONNECTION;

/// The readiness of a process that has not started its parts yet, with what it waits for.
pub(crate) fn starting(waits: Option<(&'static str, DateTime<Utc>)>) -> Readiness {
    let degraded = waits.map(|(code, since)| Degraded {
        name: "database".into(),
        code: code.into(),
        since: Some(since),
    });
    let (tasks, degraded) = (Vec::new(), degraded.into_iter().collect());
    Readiness { status: "not_ready".into(), store: "unavailable".into(), tasks, degraded }
}

/// Check liveness
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "health",
    responses((status = 200, description = "The process is alive.", body = serde_json::Value, example = json!({"status": "ok"}))),
)]
pub(crate) async fn alive() -> Response {
    reply::json(Bytes::from_static(br#"{"status":"ok"}"#))
}

/// Check readiness
///
/// Checks the database and every background task. A dependency that is unavailable, and a part of the database that cannot be
/// used, such as a table without rights, is named and does not change the status.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readiness",
    responses(
        (status = 200, description = "The service is ready.", body = Readiness),
        (status = 503, description = "The service is not ready; `store` and `tasks` say why.", body = Readiness),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let store = match app.engine().store().schema().await {
        Ok(Some((_, min_reader))) if min_reader <= store::SCHEMA => probe_store(&app).await,
        Ok(_) => "unfit",
        Err(_) => "unavailable",
    };
    let tasks: Vec<Alive> = app
        .tasks()
        .report()
        .into_iter()
        .filter(|(name, _)| *name != CONNECTION)
        .map(|(name, alive)| Alive { name: name.into(), alive })
        .collect();
    let troubles = app.engine().store().troubles();
    let is_unwritable = store == "ok" && troubles.iter().any(store::Trouble::prevents_writes);
    let store = if is_unwritable { "unwritable" } else { store };
    let ready = store == "ok" && tasks.iter().all(|task| task.alive > 0) && !app.ending().is_cancelled();
    let status = if ready { "ready" } else { "not_ready" };
    let content = app.engine().content_outage().map(|outage| (outage.code, Some(outage.since)));
    let dependencies = [("content", content), ("bus", app.bus_outage())];
    let now = app.engine().clock().now();
    let of_database = troubles.iter().map(|trouble| Degraded {
        name: "database".into(),
        code: trouble.code.into(),
        since: Some(now - trouble.age),
    });
    let of_others = dependencies.into_iter().filter_map(|(name, outage)| {
        outage.map(|(code, since)| Degraded { name: name.into(), code: code.into(), since })
    });
    let degraded = of_others.chain(of_database).collect();
    let mut response =
        reply::document(&Readiness { status: status.into(), store: store.into(), tasks, degraded })?;
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

async fn probe_store(app: &App) -> &'static str {
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

/// Get the metrics
///
/// In the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn figures(State(app): State<App>) -> Response {
    engine::metrics::outage("bus", app.bus_outage().is_some());
    engine::metrics::outage("content", app.engine().content_outage().is_some());
    let text = app.metrics().map(telemetry::Metrics::render).unwrap_or_default();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
