//! `POST /v1/batch/{batch_id}/initiate-…` and `…/pipeline`: start phases.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use bytesize::ByteSize;
use client::documents::{PipelineRequest, StatusDocument};
use domain::{BatchId, Phase};
use engine::{Command, News, Traceparent};

use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::IdempotencyKey;
use crate::json::media_type;
use crate::path::InPath;
use crate::problem::{Code, Problem};
use crate::reply;
use crate::status;
use crate::submission::{Content, Faults, Place, one_object, phases_of};
use crate::trace::Traced;

/// The largest body: it only names phases.
const LARGEST: ByteSize = ByteSize::kib(64);

/// A request to start phases, with the content to which its Idempotency-Key is bound.
pub(crate) struct Asked {
    app: App,
    caller: Caller,
    trace: Option<Traceparent>,
    batch: BatchId,
    key: IdempotencyKey,
    body: Bytes,
}

macro_rules! initiate {
    ($($(#[$doc:meta])* $name:ident: $phase:expr, $path:literal, $id:literal;)+) => {$(
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "batches", operation_id = $id,
            params(
                ("batch_id" = Uuid, Path, description = "The batch."),
                ("Idempotency-Key" = Option<String>, Header, description = "A request that is repeated with the same key is done once."),
            ),
            responses(
                (status = 202, description = "The request is accepted; the body is the status now.", body = StatusDocument),
                (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
                (status = 409, description = "Not possible in the current state; `detail` names the state and what is possible in it.", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(crate) async fn $name(
            State(app): State<App>,
            caller: Caller,
            Traced(trace): Traced,
            InPath(batch): InPath<BatchId>,
            key: IdempotencyKey,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Response, Problem> {
            let body = read(&app, &headers, body).await?;
            if !body.is_empty() {
                one_object(&body, &[], |_, _, _| ())?;
            }
            start(Asked { app, caller, trace, batch, key, body }, $path, vec![$phase]).await
        }
    )+};
}

initiate! {
    /// Start spellcheck
    ///
    /// For every essay of the batch that has a text.
    spellcheck: Phase::Spellcheck, "/v1/batch/{batch_id}/initiate-spellcheck", "initiate_spellcheck";
    /// Start nlp
    ///
    /// Adds spellcheck if it has not succeeded yet.
    nlp: Phase::Nlp, "/v1/batch/{batch_id}/initiate-nlp", "initiate_nlp";
    /// Start AI feedback
    ///
    /// Adds spellcheck and nlp if they have not succeeded yet.
    ai_feedback: Phase::AiFeedback, "/v1/batch/{batch_id}/initiate-ai-feedback", "initiate_ai_feedback";
    /// Start comparative judgement
    ///
    /// Adds spellcheck if it has not succeeded yet.
    cj_assessment: Phase::CjAssessment, "/v1/batch/{batch_id}/initiate-cj-assessment", "initiate_cj_assessment";
}

/// Run phases in dependency order
///
/// Adds missing prerequisites, and leaves out phases that have succeeded. The answer lists the phases.
#[utoipa::path(
    post, path = "/v1/batch/{batch_id}/pipeline", tag = "batches", operation_id = "run_pipeline",
    params(
        ("batch_id" = Uuid, Path, description = "The batch."),
        ("Idempotency-Key" = Option<String>, Header, description = "A request that is repeated with the same key is done once."),
    ),
    request_body = PipelineRequest,
    responses(
        (status = 202, description = "The request is accepted; the body is the status now.", body = StatusDocument),
        (status = 404, description = "The batch does not exist.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not possible in the current state; `detail` names the state and what is possible in it.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The list of phases is invalid.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pipeline(
    State(app): State<App>,
    caller: Caller,
    Traced(trace): Traced,
    InPath(batch): InPath<BatchId>,
    key: IdempotencyKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if media_type(&headers)? != "application/json" {
        return Err(Problem::new(Code::UnsupportedMediaType, "The body must be application/json."));
    }
    let body = read(&app, &headers, body).await?;
    let mut phases = None;
    one_object(&body, &["phases"], |faults: &mut Faults, _, value| {
        phases = faults.strings("/phases", value).map(|words| phases_of(faults, &words));
    })?;
    let phases = phases.ok_or_else(|| {
        let mut faults = Faults::default();
        faults.add(Place::Request("/phases"), Code::MissingField, "`phases` is missing");
        faults.into_problem()
    })?;
    start(Asked { app, caller, trace, batch, key, body }, "/v1/batch/{batch_id}/pipeline", phases).await
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    Ok(app.bodies().open(headers, body, LARGEST)?.all().await?.0)
}

async fn start(asked: Asked, path: &str, phases: Vec<Phase>) -> Result<Response, Problem> {
    let Asked { app, caller: Caller(owner), trace, batch, key, body } = asked;
    let route = format!("POST {}", path.replace("{batch_id}", &batch.to_string()));
    let mut content = Content::default();
    for phase in &phases {
        content.add("phase", Some(phase.as_str()));
    }
    let key = key.bind(app.engine(), &owner, &route, &content.digest(), ("application/json", &body));
    let news = News::StartRequested { phases };
    let command = Command { batch, owner, news, key, render: Arc::new(status::accepted), trace };
    Ok(reply::receipt(app.engine().command(command).await?))
}
