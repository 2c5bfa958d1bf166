//! `GET /v1/limits`: the limits that apply to requests.

use axum::extract::State;
use axum::response::Response;
use domain::Phase;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::problem::Problem;
use super::query::{Nothing, Query};
use super::{reply, schemas};

/// The limits of this installation, and the phases that it serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Most essays in a batch; more: 422 `too_many_essays`.
    essays_per_batch: u32,
    /// Most bytes in an essay, as UTF-8; more: 413 for a single essay, an error of the essay in a batch.
    text_bytes: u64,
    /// Most bytes in the body of a request; more: 413, without reading the rest.
    body_bytes: u64,
    /// Most bytes in all bodies in flight; more: 429.
    bodies_in_flight_bytes: u64,
    /// Most bytes of texts that wait for the Content Service; more: 503 `backlog_full`.
    staged_bytes: u64,
    /// Most messages that wait for the event bus; more: 503 `backlog_full`.
    outbox_rows: u32,
    /// Most labels on a batch.
    labels_per_batch: u32,
    /// Most characters in a label's key.
    label_key_characters: u32,
    /// Most characters in a label's value.
    label_value_characters: u32,
    /// Most characters in an Idempotency-Key.
    idempotency_key_characters: u32,
    /// How long the answer to an Idempotency-Key is kept, in seconds.
    idempotency_answers_seconds: u64,
    /// The longest `?wait=` of a status request, in seconds.
    status_wait_seconds: u64,
    /// The phases that this installation serves.
    #[schema(schema_with = schemas::phases)]
    phases: Vec<Phase>,
}

/// Get the limits
///
/// The limits of this installation, and the phases that it serves.
#[utoipa::path(
    get, path = "/v1/limits", tag = "operation", operation_id = "limits",
    responses((status = 200, description = "The limits.", body = Limits)),
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
