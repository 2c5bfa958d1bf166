//! `DELETE /v1/tokens/{token_id}`: revoke a token.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::credentials::{self, is_token_id};
use crate::path::Word;
use crate::problem::{Code, Problem};

/// Revoke a token
///
/// Takes effect with the next request. Revoking a token again is not an error. The token stays in the list with the time of its
/// revocation.
#[utoipa::path(
    delete, path = "/v1/tokens/{token_id}", tag = "tokens", operation_id = "revoke_token",
    params(("token_id" = String, Path, description = "The public part of the token, 16 hexadecimal digits.")),
    responses(
        (status = 204, description = "The token is revoked."),
        (status = 404, description = "The token does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(State(app): State<App>, Word(token_id): Word) -> Result<StatusCode, Problem> {
    let unknown =
        || Problem::new(Code::NotFound, "The token does not exist; GET /v1/tokens lists all tokens.");
    if !is_token_id(&token_id) {
        return Err(unknown());
    }
    if !credentials::revoke(app.engine().store(), &token_id).await? {
        return Err(unknown());
    }
    tracing::info!(token.id = token_id, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}
