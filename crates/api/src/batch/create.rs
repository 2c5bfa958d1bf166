//! `POST /v1/batch`: submit a batch.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use client::documents::{AcceptedEssay, BatchAccepted, BatchRequest, Links, Rejection};
use domain::{BatchId, BatchStatus, EssayId, Kind};
use engine::{Submission, SubmittedEssay, Traceparent};
use store::{Answer, Owner};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::correlation::CorrelationId;
use crate::idempotency::IdempotencyKey;
use crate::json::media_type;
use crate::problem::{Code, Problem};
use crate::revision::etag;
use crate::submission::{self, Acceptable, Form, FormRequest, Written};
use crate::trace::Traced;
use crate::{reply, status};

/// The route to which an Idempotency-Key is bound.
const ROUTE: &str = "POST /v1/batch";

/// Bodies above 1 MiB are parsed on a blocking thread, so that they do not hold up an async thread.
const LARGE: usize = 1 << 20;

/// Submit a batch
///
/// Accepts one JSON object, NDJSON (the first line is the batch, each further line an essay) or a form with a `.txt` or `.md`
/// file for each essay. The answer is 202 once the batch is stored durably; processing continues after that. All errors of a
/// batch are reported together.
#[utoipa::path(
    post, path = "/v1/batch", tag = "batches", operation_id = "create_batch",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request that is repeated with the same key is done once.")),
    request_body(description = "The batch.", content(
        (BatchRequest = "application/json"), (String = "application/x-ndjson"), (FormRequest = "multipart/form-data"),
    )),
    responses(
        (status = 202, description = "The batch is stored; `Location` is the batch.", body = BatchAccepted<'static>),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The media type is not supported.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The request is invalid; nothing was stored.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The backlog is full.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(owner): Caller,
    CorrelationId(correlation): CorrelationId,
    Traced(trace): Traced,
    key: IdempotencyKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let media_type = media_type(&headers)?;
    let kind = WrittenAs::from_media_type(&media_type)?;
    let (body, _held) = app.bodies().open(&headers, body, app.bodies().max_size())?.all().await?;
    let large = body.len() > LARGE;
    let (written, former) = match kind {
        WrittenAs::Json => (Written::Json(body.clone()), body),
        WrittenAs::Ndjson => (Written::Ndjson(body.clone()), body),
        WrittenAs::Form => {
            let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let form = Form::read(body, content_type.unwrap_or_default()).await?;
            let former = Bytes::copy_from_slice(&form.former);
            (Written::Form(form), former)
        }
    };
    let engine = std::sync::Arc::clone(app.engine());
    let (bounds, fixed) = (app.bounds(), app.fixed());
    let prepare = move || {
        let acceptable = submission::read(written, bounds, fixed)?;
        let key = key.bind(&engine, &owner, ROUTE, &acceptable.content, (&media_type, &former));
        let id = engine.new_batch_id(key.as_ref())?;
        submission_of(acceptable, id, key, correlation, owner, trace)
    };
    let submission = if large {
        tokio::task::spawn_blocking(prepare).await.map_err(|_| {
            Problem::new(Code::Internal, "Internal error; the service's log has the details.")
        })??
    } else {
        prepare()?
    };
    Ok(reply::receipt(app.engine().submit(submission).await?))
}

/// The formats of a submission.
enum WrittenAs {
    Json,
    Ndjson,
    Form,
}

impl WrittenAs {
    fn from_media_type(media_type: &str) -> Result<Self, Problem> {
        match media_type {
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Ndjson),
            "multipart/form-data" => Ok(Self::Form),
            "application/zip" => Err(Problem::new(
                Code::NotAvailable,
                "Archives are not supported yet; send the .txt and .md files as multipart/form-data.",
            )),
            _ => Err(Problem::new(
                Code::UnsupportedMediaType,
                "The body must be application/json, application/x-ndjson or multipart/form-data.",
            )),
        }
    }
}

fn submission_of(
    acceptable: Acceptable,
    id: BatchId,
    key: Option<engine::IdempotencyKey>,
    correlation: Uuid,
    owner: Owner,
    trace: Option<Traceparent>,
) -> Result<Submission, Problem> {
    let Acceptable { name, language, details, labels, phases, essays, rejections, rejected, .. } = acceptable;
    let answer = answer(id, correlation, &essays, rejections, rejected)?;
    Ok(Submission {
        id,
        correlation,
        owner,
        kind: Kind::Class,
        language,
        name,
        details,
        labels,
        open: false,
        phases,
        essays,
        key,
        answer,
        trace,
    })
}

/// The answer once the batch is stored. It is rendered before, because the unit stores it with the Idempotency-Key.
fn answer(
    id: BatchId,
    correlation_id: Uuid,
    essays: &[SubmittedEssay],
    rejections: Vec<Rejection>,
    rejected: usize,
) -> Result<Answer, Problem> {
    let document = BatchAccepted {
        batch_id: id,
        correlation_id,
        status: BatchStatus::PendingContent,
        accepted: essays.len(),
        rejected,
        essays: (0..)
            .zip(essays)
            .map(|(position, essay)| AcceptedEssay {
                essay_id: EssayId::new(id, position),
                client_ref: essay.client_ref.as_ref().map(|name| Cow::Borrowed(name.0.as_str())),
            })
            .collect(),
        rejections,
        links: Links {
            status: status::path(id),
            batch: format!("/v1/batch/{id}"),
            essays: format!("/v1/batch/{id}/essays"),
            results: format!("/v1/batch/{id}/results"),
        },
    };
    Ok(Answer {
        status: 202,
        body: reply::to_json(&document)?,
        location: Some(format!("/v1/batch/{id}")),
        etag: Some(etag(1)),
    })
}
