//! `/v1/content`: the embedded Content Service over HTTP, with the platform's contract.
//!
//! Its statuses and its `{"error": "…"}` come from that contract, not from this API, so a client of the platform's Content
//! Service can use this one. `DELETE` is an addition, for erasure.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use companions::ContentService;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Bodies;
use super::correlation::CorrelationId;
use super::path::Word;
use super::problem::Problem;

/// The state of the handlers of a Content Service.
#[derive(Debug, Clone)]
pub(crate) struct ContentState {
    /// The Content Service with the texts.
    pub(crate) service: Arc<ContentService>,
    /// The reader of request bodies, with its limits.
    pub(crate) bodies: Bodies,
}

/// The routes of the contract. They authenticate no caller; the router that mounts them does.
pub(crate) fn routes(state: ContentState) -> Router {
    Router::new()
        .route("/v1/content", post(store))
        .route("/v1/content/{storage_id}", get(fetch).delete(erase))
        .with_state(state)
}

/// The storage id of a stored text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stored {
    /// 32 hexadecimal digits.
    storage_id: String,
    correlation_id: Uuid,
}

/// Why a text was not stored, found or erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    error: &'static str,
}

/// Seconds after which a request is sent again while the companions' database cannot be used; chosen.
const RETRY_AFTER: &str = "2";

fn refused(status: StatusCode, error: &'static str) -> Response {
    (status, axum::Json(Refused { error })).into_response()
}

/// The answer when the companions' database cannot be used, such as on a full or failing disk. Nothing was stored or erased.
fn failed(error: &companions::Error) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "the embedded Content Service failed a request");
    let answer =
        refused(StatusCode::SERVICE_UNAVAILABLE, "the Content Service is unavailable; see the service's log");
    ([(header::RETRY_AFTER, RETRY_AFTER)], answer).into_response()
}

fn is_storage_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Store a text
///
/// Not idempotent, by the platform's contract: each call creates a new id.
#[utoipa::path(
    post, path = "/v1/content", tag = "content", operation_id = "store_content",
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes."),
    responses(
        (status = 201, description = "Stored.", body = Stored),
        (status = 400, description = "The body is empty or incomplete.", content(
            (Refused = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The text was not stored; see `Retry-After`.", body = Refused),
    ),
)]
pub(crate) async fn store(
    State(state): State<ContentState>,
    CorrelationId(correlation_id): CorrelationId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (body, _held) = state.bodies.open(&headers, body, state.bodies.max_size())?.all().await?;
    if body.is_empty() {
        return Ok(refused(StatusCode::BAD_REQUEST, "no data"));
    }
    Ok(match state.service.put(body).await {
        Ok(storage_id) => {
            (StatusCode::CREATED, axum::Json(Stored { storage_id, correlation_id })).into_response()
        }
        Err(error) => failed(&error),
    })
}

/// Get a text
#[utoipa::path(
    get, path = "/v1/content/{storage_id}", tag = "content", operation_id = "content",
    params(("storage_id" = String, Path, description = "32 hexadecimal digits.")),
    responses(
        (status = 200, description = "The bytes as they were stored.", body = String, content_type = "application/octet-stream"),
        (status = 400, description = "Not a storage id.", body = Refused),
        (status = 404, description = "Nothing is stored under this id.", body = Refused),
        (status = 503, description = "The texts cannot be read or changed now; see `Retry-After`.", body = Refused),
    ),
)]
pub(crate) async fn fetch(State(state): State<ContentState>, Word(storage_id): Word) -> Response {
    if !is_storage_id(&storage_id) {
        return refused(StatusCode::BAD_REQUEST, "a storage id is 32 hexadecimal digits");
    }
    match state.service.get(&storage_id).await {
        Ok(Some(bytes)) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Ok(None) => refused(StatusCode::NOT_FOUND, "nothing is stored under this id"),
        Err(error) => failed(&error),
    }
}

/// Erase a text
#[utoipa::path(
    delete, path = "/v1/content/{storage_id}", tag = "content", operation_id = "erase_content",
    params(("storage_id" = String, Path, description = "32 hexadecimal digits.")),
    responses(
        (status = 204, description = "Erased."),
        (status = 400, description = "Not a storage id.", body = Refused),
        (status = 404, description = "Nothing is stored under this id.", body = Refused),
        (status = 503, description = "The texts cannot be read or changed now; see `Retry-After`.", body = Refused),
    ),
)]
pub(crate) async fn erase(State(state): State<ContentState>, Word(storage_id): Word) -> Response {
    if !is_storage_id(&storage_id) {
        return refused(StatusCode::BAD_REQUEST, "a storage id is 32 hexadecimal digits");
    }
    match state.service.delete(&storage_id).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => refused(StatusCode::NOT_FOUND, "nothing is stored under this id"),
        Err(error) => failed(&error),
    }
}
