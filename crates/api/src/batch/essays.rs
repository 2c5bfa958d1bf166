//! `GET /v1/batch/{batch_id}/essays`: list the essays of a batch.

use axum::extract::State;
use axum::response::Response;
use client::documents::{EssayDocument, Page};
use domain::{BatchId, EssayState};
use serde::Deserialize;

use crate::app::App;
use crate::auth::Caller;
use crate::essay;
use crate::paging;
use crate::path::InPath;
use crate::problem::Problem;
use crate::query::Query;
use crate::{reply, schemas};

/// Parameters of a page of essays.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only essays in this state.
    #[param(schema_with = schemas::essay_state, required = false)]
    state: Option<EssayState>,
    /// Most essays in a page, from 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List the essays of a batch
///
/// In the order of the submission, each with its state, its finished phases and the storage ids of its texts.
#[utoipa::path(
    get, path = "/v1/batch/{batch_id}/essays", tag = "batches", operation_id = "batch_essays",
    params(("batch_id" = Uuid, Path, description = "The batch."), Parameters),
    responses(
        (status = 200, description = "A page of essays.", body = Page<EssayDocument>),
        (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn essays(
    State(app): State<App>,
    Caller(owner): Caller,
    InPath(batch): InPath<BatchId>,
    Query(Parameters { state, limit, cursor }): Query<Parameters>,
) -> Result<Response, Problem> {
    let limit = paging::limit(limit)?;
    let after: Option<u16> =
        cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| paging::bad_cursor())?;
    let found = app
        .engine()
        .store()
        .read(move |tx| Box::pin(async move { tx.essays_page(&owner, batch, after, limit + 1, state).await }))
        .await
        .map_err(Problem::from)?;
    let rows = found.ok_or_else(super::unknown)?;
    let documents = rows.into_iter().map(essay::document).collect();
    reply::document(&paging::page(documents, limit, |last: &EssayDocument| last.position.to_string()))
}
