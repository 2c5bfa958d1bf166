//! `GET /v1/batch/{batch_id}`: a batch with its status and its submitted fields.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use client::documents::BatchDocument;
use domain::BatchId;
use store::{Labels, StatusRow};

use crate::app::App;
use crate::auth::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::query::{Nothing, Query};
use crate::revision::{Has, etag_value};
use crate::status::HeldMessages;
use crate::{reply, status};

/// Get a batch
///
/// The status of the batch and its submitted fields.
#[utoipa::path(
    get, path = "/v1/batch/{batch_id}", tag = "batches", operation_id = "batch",
    params(
        ("batch_id" = Uuid, Path, description = "The batch."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the document that the caller already has."),
    ),
    responses(
        (status = 200, description = "The batch.", body = BatchDocument),
        (status = 304, description = "The document has not changed."),
        (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Caller(owner): Caller,
    InPath(batch): InPath<BatchId>,
    Query(Nothing {}): Query<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let bus = app.bus_availability();
    let found = app
        .engine()
        .store()
        .read(move |tx| {
            Box::pin(async move {
                let Some(version) = bus.version(tx, &owner, batch).await? else { return Ok(None) };
                let Some(row) = tx.status_row(&owner, batch).await? else { return Ok(None) };
                Ok(Some((version, row, tx.labels(&owner, batch).await?)))
            })
        })
        .await
        .map_err(|error: store::Error| Problem::from(error))?;
    let (version, row, labels) = found.ok_or_else(super::unknown)?;
    let tag = version.tag();
    let mut response = if Has::read(&headers).includes(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        reply::document(&document(row, version.held, labels))?
    };
    response.headers_mut().insert(header::ETAG, etag_value(&tag));
    Ok(response)
}

fn document(row: StatusRow, held: Option<HeldMessages>, labels: Labels) -> BatchDocument {
    let status = status::document(&row, held);
    let batch = row.row.batch;
    let details = row.row.details;
    BatchDocument {
        status,
        kind: batch.kind,
        correlation_id: batch.correlation_id.as_uuid(),
        language: batch.language,
        course_code: details.course_code,
        labels: labels.into_iter().map(|(key, value)| (key, value.0)).collect(),
        planned: batch.plan,
        class_designation: details.class_designation.map(|text| text.0),
        essay_instructions: details.essay_instructions.map(|text| text.0),
        assignment_id: details.assignment_id,
        prompt_storage_id: details.prompt_storage_id,
    }
}
