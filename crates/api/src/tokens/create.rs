//! `POST /v1/tokens`: make a token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::credentials::{Fault, FaultKind, IssuedDocument, TokenRequest, issue};
use crate::json::Json;
use crate::problem::{Code, Item, Problem};
use crate::reply;

/// Make a token
///
/// The answer holds the token, for the only time: the database has nothing but its hash. For the same reason no
/// Idempotency-Key is honoured here; a token whose answer was lost is best revoked.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "create_token",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "Made.", body = IssuedDocument),
        (status = 422, description = "Not acceptable.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Json(request, _held): Json<TokenRequest>,
) -> Result<Response, Problem> {
    let acceptable = request.check().map_err(unacceptable)?;
    let issued = issue(app.engine().store(), acceptable).await?;
    let mut response = reply::document(&issued)?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn unacceptable(faults: Vec<Fault>) -> Problem {
    let items: Vec<Item> = faults.into_iter().map(Item::from).collect();
    let first = items.first().map_or(Code::WrongType, |item| item.code);
    Problem::new(first, "The request for a token is not acceptable.").with_errors(items)
}

impl From<Fault> for Item {
    fn from(fault: Fault) -> Self {
        let code = match fault.kind {
            FaultKind::TooLong => Code::TooLong,
            FaultKind::ControlCharacter => Code::ControlCharacter,
            FaultKind::Unusable => Code::WrongType,
        };
        Self::new(code, fault.detail).at(format!("/{}", fault.field))
    }
}
