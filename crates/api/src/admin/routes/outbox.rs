//! `GET /v1/outbox`, `POST /v1/outbox/{shard}/{row}/retry` and `…/skip`.

use axum::extract::State;
use axum::response::Response;
use client::documents::{OutboxList, OutboxOutcome, OutboxPosition};

use super::{EmptyBody, ListParameters, PositionInPath};
use crate::admin::outbox::{self, Decision};
use crate::app::App;
use crate::problem::{Code, Problem};
use crate::query::{Nothing, Query};
use crate::reply;

/// List pending and parked messages
///
/// Oldest first, without their payloads. A parked message blocks its batch until it is retried or skipped.
#[utoipa::path(
    get, path = "/v1/outbox", tag = "operation", operation_id = "list_outbox",
    params(ListParameters),
    responses((status = 200, description = "A page of messages, and the size of the whole outbox.", body = OutboxList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Problem> {
    let (after, limit) = parameters.check()?;
    reply::document(&outbox::list(app.engine().store(), after, limit).await?)
}

/// Retry a parked message
///
/// Makes the message pending again. The later messages of its ordering key follow it.
#[utoipa::path(
    post, path = "/v1/outbox/{shard}/{row}/retry", tag = "operation", operation_id = "retry_outbox_message",
    params(OutboxPosition),
    responses(
        (status = 200, description = "The message is pending.", body = OutboxOutcome),
        (status = 404, description = "No parked message has this id.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body has members.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry(
    State(app): State<App>,
    PositionInPath(position): PositionInPath<OutboxPosition>,
    Query(Nothing {}): Query<Nothing>,
    _: EmptyBody,
) -> Result<Response, Problem> {
    decide(&app, position, Decision::Retry).await
}

/// Skip a parked message
///
/// The message is not sent, and the later messages of its ordering key are. A phase that it was to start ends by its
/// time-out.
#[utoipa::path(
    post, path = "/v1/outbox/{shard}/{row}/skip", tag = "operation", operation_id = "skip_outbox_message",
    params(OutboxPosition),
    responses(
        (status = 200, description = "The message is skipped.", body = OutboxOutcome),
        (status = 404, description = "No parked message has this id.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body has members.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn skip(
    State(app): State<App>,
    PositionInPath(position): PositionInPath<OutboxPosition>,
    Query(Nothing {}): Query<Nothing>,
    _: EmptyBody,
) -> Result<Response, Problem> {
    decide(&app, position, Decision::Skip).await
}

async fn decide(
    app: &App,
    position: Option<OutboxPosition>,
    decision: Decision,
) -> Result<Response, Problem> {
    let decided = match position {
        Some(position) => outbox::decide(app.engine().store(), position, decision).await?,
        None => None,
    };
    let outcome = decided.ok_or_else(|| {
        Problem::new(Code::NotFound, "No parked message has this id; GET /v1/outbox lists them.")
    })?;
    tracing::info!(
        outbox.id = outcome.id,
        verb = decision.verb(),
        "an operator decided about a parked message"
    );
    reply::document(&outcome)
}
