//! `GET /v1/dead-letters`, and `GET`, `DELETE` and `POST …/replay` of one dead letter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use client::documents::{DeadLetterDetail, DeadLetterList, MessagePosition, ReplayOutcome};
use engine::ports::Delivery;

use super::{EmptyBody, ListParameters, PositionInPath};
use crate::admin::dead_letters;
use crate::app::App;
use crate::problem::{Code, Problem};
use crate::query::{Nothing, Query};
use crate::reply;

/// List dead letters
///
/// Latest first. A dead letter is the position of a message that the consumer could not process; the message stays on its
/// topic.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "operation", operation_id = "list_dead_letters",
    params(ListParameters),
    responses((status = 200, description = "A page of dead letters, and the number of all.", body = DeadLetterList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Problem> {
    let (after, limit) = parameters.check()?;
    reply::document(&dead_letters::list(app.engine().store(), after, limit).await?)
}

/// Show a dead letter
///
/// With the envelope of its message and the names of the payload's fields, without their values.
#[utoipa::path(
    get, path = "/v1/dead-letters/{topic}/{partition}/{offset}", tag = "operation", operation_id = "dead_letter",
    params(MessagePosition),
    responses(
        (status = 200, description = "The dead letter.", body = DeadLetterDetail),
        (status = 404, description = "There is no such dead letter.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(app): State<App>,
    PositionInPath(position): PositionInPath<MessagePosition>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let position = position.ok_or_else(unknown)?;
    let letter = dead_letters::find(app.engine().store(), &position).await?.ok_or_else(unknown)?;
    let delivery = fetch(&app, &position).await?;
    reply::document(&dead_letters::detail(letter, delivery.as_ref()))
}

/// Replay a dead letter
///
/// Processes the message once more, as the consumer does. If that succeeds, or if the message was processed meanwhile, the
/// dead letter is deleted; otherwise it stays, and `outcome` says why.
#[utoipa::path(
    post, path = "/v1/dead-letters/{topic}/{partition}/{offset}/replay", tag = "operation", operation_id = "replay_dead_letter",
    params(MessagePosition),
    responses(
        (status = 200, description = "What became of the message.", body = ReplayOutcome),
        (status = 404, description = "There is no such dead letter.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body has members.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(app): State<App>,
    PositionInPath(position): PositionInPath<MessagePosition>,
    Query(Nothing {}): Query<Nothing>,
    _: EmptyBody,
) -> Result<Response, Problem> {
    let position = position.ok_or_else(unknown)?;
    if dead_letters::find(app.engine().store(), &position).await?.is_none() {
        return Err(unknown());
    }
    let delivery = fetch(&app, &position).await?;
    let outcome = dead_letters::replay(app.engine(), &position, delivery).await?;
    tracing::info!(
        dead_letter.id = outcome.id,
        outcome = outcome.outcome,
        "an operator replayed a dead letter"
    );
    reply::document(&outcome)
}

/// Drop a dead letter
///
/// Its message stays on its topic and is not processed.
#[utoipa::path(
    delete, path = "/v1/dead-letters/{topic}/{partition}/{offset}", tag = "operation", operation_id = "drop_dead_letter",
    params(MessagePosition),
    responses(
        (status = 204, description = "Dropped."),
        (status = 404, description = "There is no such dead letter.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn drop(
    State(app): State<App>,
    PositionInPath(position): PositionInPath<MessagePosition>,
) -> Result<StatusCode, Problem> {
    let position = position.ok_or_else(unknown)?;
    if !dead_letters::delete(app.engine().store(), &position).await? {
        return Err(unknown());
    }
    tracing::info!(dead_letter.id = %position, "an operator dropped a dead letter");
    Ok(StatusCode::NO_CONTENT)
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "There is no such dead letter; GET /v1/dead-letters lists them.")
}

/// Reads the message of a dead letter from the bus.
async fn fetch(app: &App, position: &MessagePosition) -> Result<Option<Delivery>, Problem> {
    let Some(bus) = app.bus() else { return Ok(None) };
    dead_letters::fetch(bus.as_ref(), position).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, dead_letter.id = %position, "cannot read the message of a dead letter");
        Problem::new(
            Code::Unavailable,
            "The event bus does not return the message now; send the same request again.",
        )
    })
}
