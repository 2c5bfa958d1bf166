//! `GET /v1/essay/{essay_id}`: one essay.

use axum::extract::State;
use axum::response::Response;
use client::documents::EssayDocument;
use domain::EssayId;

use super::document;
use crate::app::App;
use crate::auth::Caller;
use crate::path::InPath;
use crate::problem::{Code, Problem};
use crate::query::{Nothing, Query};
use crate::reply;

/// Get an essay
///
/// The state of the essay and its finished phases, with the storage ids of its texts.
#[utoipa::path(
    get, path = "/v1/essay/{essay_id}", tag = "essays", operation_id = "essay",
    params(("essay_id" = Uuid, Path, description = "The essay.")),
    responses(
        (status = 200, description = "The essay.", body = EssayDocument),
        (status = 404, description = "The essay does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Caller(owner): Caller,
    InPath(essay): InPath<EssayId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let found = app
        .engine()
        .store()
        .read(move |tx| Box::pin(async move { tx.essay_detail(&owner, essay).await }))
        .await
        .map_err(Problem::from)?;
    let essay = found.ok_or_else(|| Problem::new(Code::NotFound, "The essay does not exist."))?;
    reply::document(&document(essay))
}
