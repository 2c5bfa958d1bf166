//! `POST /v1/tokens`: create a token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use client::documents::{IssuedDocument, TokenRequest};

use crate::app::App;
use crate::credentials::{self, Fault, FaultKind, Issuer};
use crate::json::Json;
use crate::problem::{Code, Item, Problem};
use crate::reply;
use crate::settings::Auth;

/// Create a token
///
/// Only this answer contains the token, because the database stores only its hash. For the same reason `Idempotency-Key` is ignored
/// here: if the answer is lost, revoke the token and create another. A token that is created while the server authenticates no caller
/// has the status `untrusted`, and is refused once the server does.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "create_token",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "The token was created.", body = IssuedDocument),
        (status = 422, description = "The request is invalid.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Json(request, _held): Json<TokenRequest>,
) -> Result<Response, Problem> {
    let acceptable = credentials::check(request).map_err(unacceptable)?;
    let by = match app.settings().auth {
        Auth::Off => Issuer::Anyone,
        Auth::Token | Auth::Gateway => Issuer::Trusted,
    };
    let issued = credentials::issue(app.engine().store(), acceptable, by).await?;
    let mut response = reply::document(&issued)?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn unacceptable(faults: Vec<Fault>) -> Problem {
    let items: Vec<Item> = faults.into_iter().map(Item::from).collect();
    let first = items.first().map_or(Code::WrongType, |item| item.code);
    Problem::new(first, "The request for a token is invalid.").with_errors(items)
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
