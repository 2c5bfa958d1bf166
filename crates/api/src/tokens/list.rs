//! `GET /v1/tokens`: list tokens.

use axum::extract::State;
use axum::response::Response;
use client::documents::{Page, TokenDocument};
use serde::Deserialize;

use crate::app::App;
use crate::credentials::{self, is_token_id};
use crate::paging;
use crate::problem::Problem;
use crate::query::Query;
use crate::reply;

/// Parameters of the list of tokens.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only tokens of this user.
    user_id: Option<String>,
    /// Most tokens in a page, from 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List tokens
///
/// Includes expired and revoked tokens. The secret part of a token is never shown.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "list_tokens",
    params(Parameters),
    responses(
        (status = 200, description = "A page of tokens.", body = Page<TokenDocument>),
        (status = 400, description = "A parameter is invalid.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(Parameters { user_id, limit, cursor }): Query<Parameters>,
) -> Result<Response, Problem> {
    let limit = paging::limit(limit)?;
    if user_id.as_ref().is_some_and(|user_id| user_id.chars().any(char::is_control)) {
        return Err(paging::invalid("user_id", "contains a control character"));
    }
    let after = cursor.unwrap_or_default();
    if !after.is_empty() && !is_token_id(&after) {
        return Err(paging::bad_cursor());
    }
    reply::document(&credentials::list(app.engine().store(), user_id, after, limit).await?)
}
