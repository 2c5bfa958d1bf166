//! `GET /v1/batch/{batch_id}/status`: the status of a batch, cheap to poll.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use client::documents::StatusDocument;
use domain::BatchId;
use serde::Deserialize;

use crate::app::App;
use crate::auth::Caller;
use crate::path::InPath;
use crate::problem::{Code, Item, Problem};
use crate::query::Query;
use crate::reply;
use crate::revision::{Has, etag_value};
use crate::status::{Rendered, Version};

/// How often a waiting request re-reads the version, because only changes by this process are signalled.
const RECHECK_PERIOD: Duration = Duration::from_secs(1);

/// Parameters of a status request.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Waits at most this long for a change before the answer: a duration such as `5s`, or a number of seconds. A time above
    /// `status_wait_seconds` of `/v1/limits` is shortened to it.
    #[param(example = "5s")]
    wait: Option<String>,
}

/// Get the status of a batch
///
/// An `ETag` always names the same document, so a request with the latest one in `If-None-Match` costs one look-up and gets 304.
/// With `wait`, the answer comes when the `ETag` differs from the one in `If-None-Match` (without it: from the current one), or
/// when the time is over.
#[utoipa::path(
    get, path = "/v1/batch/{batch_id}/status", tag = "batches", operation_id = "batch_status",
    params(
        ("batch_id" = Uuid, Path, description = "The batch."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the document that the caller already has."),
        Parameters,
    ),
    responses(
        (status = 200, description = "The status.", body = StatusDocument),
        (status = 304, description = "The document has not changed."),
        (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn status(
    State(app): State<App>,
    Caller(owner): Caller,
    InPath(batch): InPath<BatchId>,
    Query(Parameters { wait }): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let has = Has::read(&headers);
    let mut version = current_version(&app, &owner, batch).await?;
    if let Some(wait) = wait {
        let wait = parse_wait(&wait, app.settings().status_wait_limit)?;
        version = wait_for_change(&app, &owner, batch, &has, version, wait).await?;
    }
    Ok(answer(&*rendered(&app, &owner, batch, version).await?, &has))
}

/// The current version.
async fn current_version(app: &App, owner: &store::Owner, batch: BatchId) -> Result<Version, Problem> {
    let (owner, bus) = (owner.clone(), app.bus_availability());
    let found = app
        .engine()
        .store()
        .peek(move |tx| Box::pin(async move { bus.version(tx, &owner, batch).await }))
        .await
        .map_err(Problem::from)?;
    found.ok_or_else(super::unknown)
}

/// The document of this version or a later one.
async fn rendered(
    app: &App,
    owner: &store::Owner,
    batch: BatchId,
    version: Version,
) -> Result<Arc<Rendered>, Problem> {
    if let Some(rendered) = app.statuses().get(batch, version) {
        return Ok(rendered);
    }
    let owner = owner.clone();
    let row = app
        .engine()
        .store()
        .read(move |tx| Box::pin(async move { tx.status_row(&owner, batch).await }))
        .await
        .map_err(Problem::from)?;
    app.statuses().render(&row.ok_or_else(super::unknown)?, version.held)
}

/// Waits until the version differs from the one that the caller has; without `If-None-Match`, from the current one. Returns the
/// version at that time, or when the time is over or the service stops.
async fn wait_for_change(
    app: &App,
    owner: &store::Owner,
    batch: BatchId,
    has: &Has,
    mut version: Version,
    wait: Duration,
) -> Result<Version, Problem> {
    // An ended run does not change by itself, so a request without `If-None-Match` is answered at once.
    let has_changed = match has {
        Has::Nothing => rendered(app, owner, batch, version).await?.is_ended(),
        Has::Anything | Has::Tags(_) => !has.includes(&version.tag()),
    };
    if has_changed {
        return Ok(version);
    }
    let first = version;
    let mut signal = app.engine().watch(batch);
    // Re-read: a change between the first read and the subscription was not signalled.
    version = current_version(app, owner, batch).await?;
    let clock = Arc::clone(app.engine().clock());
    let deadline = tokio::time::Instant::now() + wait;
    while version == first && !app.ending().is_cancelled() {
        let time_is_up = tokio::select! {
            _ = signal.changed() => false,
            () = clock.sleep(RECHECK_PERIOD) => false,
            () = app.ending().cancelled() => true,
            () = tokio::time::sleep_until(deadline) => true,
        };
        version = current_version(app, owner, batch).await?;
        if time_is_up {
            break;
        }
    }
    Ok(version)
}

fn answer(rendered: &Rendered, has: &Has) -> Response {
    let tag = rendered.version.tag();
    let mut response = if has.includes(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        reply::json(rendered.body.clone())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag_value(&tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(pause) = rendered.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs()));
    }
    response
}

fn parse_wait(text: &str, longest: Duration) -> Result<Duration, Problem> {
    // A number without a unit is seconds, as in `Prefer: wait=3` (RFC 7240).
    let seconds = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let wait = match seconds {
        Some(seconds) => Duration::from_secs(seconds),
        None => humantime::parse_duration(text).map_err(|_| {
            let detail = "expected a duration such as 20s or 500ms, or a number of seconds";
            Problem::of_item(Item::new(Code::InvalidParameter, detail).of_parameter("wait"))
        })?,
    };
    Ok(wait.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_unit_or_is_seconds_and_is_shortened_to_the_longest() {
        const LONGEST: Duration = Duration::from_secs(20);
        let cases = [
            ("3", 3_000),
            ("0", 0),
            ("3s", 3_000),
            ("500ms", 500),
            ("20s", 20_000),
            ("60s", 20_000),
            ("60", 20_000),
        ];
        for (text, milliseconds) in cases {
            let wait = parse_wait(text, LONGEST).unwrap();
            assert_eq!(wait, Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "soon", "-1s", "-1", "+3", "3.5", "1e3", "99999999999999999999999"] {
            assert_eq!(parse_wait(text, LONGEST).unwrap_err().code(), Code::InvalidParameter, "{text}");
        }
    }
}
