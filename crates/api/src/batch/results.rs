//! `GET /v1/batch/{batch_id}/results`: the results of a batch, a line for each essay.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use client::documents::ResultLine;
use domain::{BatchId, EssayState};
use futures::stream;
use serde::Deserialize;

use crate::app::App;
use crate::auth::Caller;
use crate::essay;
use crate::path::InPath;
use crate::problem::Problem;
use crate::query::Query;
use crate::schemas;

/// Essays per read.
const PAGE: u32 = 200;

/// Parameters of the results.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only essays with this outcome: `succeeded` or `failed`.
    #[param(schema_with = schemas::outcome, required = false)]
    outcome: Option<Outcome>,
}

/// The outcome of an essay, as a filter.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
}

/// Get the results of a batch
///
/// One JSON object per line, in the order of the submission. Available at any time, also after a failure or a cancellation.
#[utoipa::path(
    get, path = "/v1/batch/{batch_id}/results", tag = "batches", operation_id = "batch_results",
    params(("batch_id" = Uuid, Path, description = "The batch."), Parameters),
    responses(
        (status = 200, description = "A line for each essay.", body = ResultLine, content_type = "application/x-ndjson"),
        (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn results(
    State(app): State<App>,
    Caller(owner): Caller,
    InPath(batch): InPath<BatchId>,
    Query(Parameters { outcome }): Query<Parameters>,
) -> Result<Response, Problem> {
    let outcome = outcome.map(|outcome| match outcome {
        Outcome::Succeeded => EssayState::Succeeded,
        Outcome::Failed => EssayState::Failed,
    });
    let reading = Reading { app, owner, batch, outcome };
    // The first page is read before the status is sent, so that an unknown batch is a 404.
    let first = reading.page(None).await?;
    let lines = stream::unfold(Some((reading, first)), |state| async {
        let (reading, (bytes, last)) = state?;
        let Some(last) = last else { return Some((Ok(bytes), None)) };
        match reading.page(Some(last)).await {
            Ok(next) => Some((Ok(bytes), Some((reading, next)))),
            // The error breaks the connection, so that a client does not take a part for the whole.
            Err(problem) => Some((Err(std::io::Error::other(problem.code().as_str())), None)),
        }
    });
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, ndjson)], Body::from_stream(lines)).into_response())
}

struct Reading {
    app: App,
    owner: store::Owner,
    batch: BatchId,
    outcome: Option<EssayState>,
}

impl Reading {
    /// The lines after a position, and the position of the last line if there may be more.
    async fn page(&self, after: Option<u16>) -> Result<(Bytes, Option<u16>), Problem> {
        let (owner, batch, outcome) = (self.owner.clone(), self.batch, self.outcome);
        let found = self
            .app
            .engine()
            .store()
            .read(move |tx| {
                Box::pin(async move { tx.results_page(&owner, batch, after, PAGE, outcome).await })
            })
            .await
            .map_err(Problem::from)?;
        let rows = found.ok_or_else(super::unknown)?;
        let full = u32::try_from(rows.len()).is_ok_and(|rows| rows == PAGE);
        let last = rows.last().map(|row| row.essay.position).filter(|_| full);
        let mut lines = Vec::with_capacity(rows.len() * 512);
        for row in rows {
            // Strings, numbers and lists always serialize.
            let _ = serde_json::to_writer(&mut lines, &ResultLine::from(essay::document(row)));
            lines.push(b'\n');
        }
        Ok((lines.into(), last))
    }
}
