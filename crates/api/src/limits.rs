//! `GET /v1/limits`: the limits that apply to requests.

use axum::extract::State;
use axum::response::Response;
use client::documents::Limits;

use super::app::App;
use super::problem::Problem;
use super::query::{Nothing, Query};
use super::reply;

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
