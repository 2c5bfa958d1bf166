//! `GET /v1/limits`: the numbers that callers meet.

use axum::extract::State;
use axum::response::Response;
use domain::Phase;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::problem::Problem;
use super::query::{Nothing, Query};
use super::{reply, schemas};

/// What this installation takes and serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Essays of a batch; over: 422 `too_many_essays`.
    essays_per_batch: u32,
    /// Bytes of an essay as UTF-8; over: 413 for a single essay, an item error in a batch.
    text_bytes: u64,
    /// Bytes of a request's body; over: 413 before the rest is read.
    body_bytes: u64,
    /// Bytes of all bodies being worked on; over: 429.
    bodies_in_flight_bytes: u64,
    /// Bytes of texts on their way to the Content Service; over: 503 `backlog_full`.
    staged_bytes: u64,
    /// Messages on their way to the bus; over: 503 `backlog_full`.
    outbox_rows: u32,
    /// Labels of a batch.
    labels_per_batch: u32,
    /// Characters of a label's key.
    label_key_characters: u32,
    /// Characters of a label's value.
    label_value_characters: u32,
    /// Characters of an Idempotency-Key.
    idempotency_key_characters: u32,
    /// Seconds for which the answer under an Idempotency-Key is kept.
    idempotency_answers_seconds: u64,
    /// Seconds of the longest `?wait=` of a status request.
    status_wait_seconds: u64,
    /// The phases that some service works on here.
    #[schema(schema_with = schemas::phases)]
    phases: Vec<Phase>,
}

/// What this installation takes and serves
#[utoipa::path(
    get, path = "/v1/limits", tag = "operation", operation_id = "limits",
    responses((status = 200, description = "The numbers.", body = Limits)),
)]
pub(crate) async fn limits(
    State(app): State<App>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let settings = app.settings();
    reply::document(&Limits {
        essays_per_batch: settings.max_essays.get(),
        text_bytes: settings.max_text_size.as_u64(),
        body_bytes: settings.bodies.max_size.as_u64(),
        bodies_in_flight_bytes: settings.bodies.max_in_flight.as_u64(),
        staged_bytes: settings.max_staged_size.as_u64(),
        outbox_rows: settings.max_outbox_rows.get(),
        labels_per_batch: settings.max_labels,
        label_key_characters: settings.max_label_key.get(),
        label_value_characters: settings.max_label_value.get(),
        idempotency_key_characters: 255,
        idempotency_answers_seconds: settings.idempotency_retention.as_secs(),
        status_wait_seconds: settings.status_wait_limit.as_secs(),
        phases: app.fixed().served.iter().collect(),
    })
}
