//! `GET /v1/batch/{batch_id}/status`: where a batch is, cheap to poll.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::BatchId;
use serde::Deserialize;

use crate::app::App;
use crate::auth::Caller;
use crate::path::InPath;
use crate::problem::{Code, Item, Problem};
use crate::query::Query;
use crate::reply;
use crate::revision::{Has, etag_value};
use crate::status::{Bus, Rendered, StatusDocument, Version};

/// How often a waiting request looks by itself: the bell rings in this process only.
const LOOK: Duration = Duration::from_secs(1);

/// Parameters of a status request.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Answer only when something changes, or after this long: `20s` at most.
    #[param(example = "20s")]
    wait: Option<String>,
}

/// Where a batch is
///
/// The document of one `ETag` never changes, so `If-None-Match` with the last one is answered 304 from a single look-up.
/// With `wait` the answer comes when the `ETag` is another than the one named (or the present one), or when the time is up.
#[utoipa::path(
    get, path = "/v1/batch/{batch_id}/status", tag = "batches", operation_id = "batch_status",
    params(
        ("batch_id" = Uuid, Path, description = "The batch."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the document that the caller has."),
        Parameters,
    ),
    responses(
        (status = 200, description = "The status.", body = StatusDocument),
        (status = 304, description = "Nothing has changed."),
        (status = 404, description = "There is no such batch.", body = Problem, content_type = "application/problem+json"),
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
    let mut version = look(&app, &owner, batch).await?;
    if let Some(wait) = wait {
        let wait = patience(&wait, app.settings().status_wait_limit)?;
        version = changed(&app, &owner, batch, &has, version, wait).await?;
    }
    Ok(answer(&*rendered(&app, &owner, batch, version).await?, &has))
}

/// The version as it is now.
async fn look(app: &App, owner: &store::Owner, batch: BatchId) -> Result<Version, Problem> {
    let (owner, bus) = (owner.clone(), Bus::of(app));
    let found = app
        .engine()
        .store()
        .peek(move |tx| Box::pin(async move { bus.version(tx, &owner, batch).await }))
        .await
        .map_err(Problem::from)?;
    found.ok_or_else(super::unknown)
}

/// The document of this version, or of a later one.
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

/// Waits for another version than the one the caller has; without `If-None-Match`, than the one it would get now. Gives the
/// version as it is then.
async fn changed(
    app: &App,
    owner: &store::Owner,
    batch: BatchId,
    has: &Has,
    mut version: Version,
    wait: Duration,
) -> Result<Version, Problem> {
    // Nothing changes by itself once the run is over; only a caller who has that already can mean a later one.
    let news = match has {
        Has::Nothing => rendered(app, owner, batch, version).await?.is_ended(),
        Has::Anything | Has::Tags(_) => !has.includes(&version.tag()),
    };
    if news {
        return Ok(version);
    }
    let first = version;
    let mut bell = app.engine().watch(batch);
    // What changed before the bell hung rang no bell.
    version = look(app, owner, batch).await?;
    let clock = Arc::clone(app.engine().clock());
    let deadline = tokio::time::Instant::now() + wait;
    while version == first && !app.ending().is_cancelled() {
        let time_is_up = tokio::select! {
            _ = bell.changed() => false,
            () = clock.sleep(LOOK) => false,
            () = app.ending().cancelled() => true,
            () = tokio::time::sleep_until(deadline) => true,
        };
        version = look(app, owner, batch).await?;
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

fn patience(text: &str, longest: Duration) -> Result<Duration, Problem> {
    let refused =
        |detail: String| Problem::of_item(Item::new(Code::InvalidParameter, detail).of_parameter("wait"));
    let wait = humantime::parse_duration(text)
        .map_err(|_| refused("expected a duration with its unit, such as 20s or 500ms".to_owned()))?;
    if wait > longest {
        return Err(refused(format!("{} is the longest", humantime::format_duration(longest))));
    }
    Ok(wait)
}
