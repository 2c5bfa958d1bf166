//! `POST /v1/trigger-spellcheck`: spellcheck one essay, without a batch of its own.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use bytesize::ByteSize;
use client::documents::{TriggerRequest, Triggered};
use domain::{BatchId, EssayId, Kind, Language, Phase};
use engine::{Submission, SubmittedEssay, SubmittedText};
use store::{Answer, Details, Labels};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::correlation::CorrelationId;
use crate::essay_file::without_mark;
use crate::idempotency::IdempotencyKey;
use crate::json::media_type;
use crate::problem::{Code, Problem};
use crate::reply;
use crate::revision::etag;
use crate::submission::{Content, Faults, Place, check_text, decode, language, members, repair};
use crate::trace::Traced;

const ROUTE: &str = "POST /v1/trigger-spellcheck";

/// The fields of the request. Others are ignored and named in the answer.
const FIELDS: &[&str] = &["text", "language"];

/// The essay of a request.
struct Essay {
    text: String,
    language: Option<Language>,
    ignored: Vec<String>,
    /// The content of the request, for the Idempotency-Key.
    content: [u8; 32],
}

/// Spellcheck one essay
///
/// Accepts JSON or plain text. The answer is 202 once the essay is stored durably; `Location` is the essay, where the outcome
/// appears. Unknown fields are ignored and named in `ignored_fields`.
#[utoipa::path(
    post, path = "/v1/trigger-spellcheck", tag = "essays", operation_id = "trigger_spellcheck",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request that is repeated with the same key is done once.")),
    request_body(description = "The essay.", content((TriggerRequest = "application/json"), (String = "text/plain"))),
    responses(
        (status = 202, description = "The essay is stored; `Location` is the essay.", body = Triggered),
        (status = 413, description = "The text is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor plain text.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The request is invalid; nothing was stored.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The backlog is full.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn trigger(
    State(app): State<App>,
    Caller(owner): Caller,
    CorrelationId(correlation): CorrelationId,
    Traced(trace): Traced,
    key: IdempotencyKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let media_type = media_type(&headers)?;
    let read = match media_type.as_str() {
        "application/json" => from_json,
        "text/plain" => from_text,
        _ => {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "The body must be application/json or text/plain.",
            ));
        }
    };
    let longest = app.bounds().text;
    let (body, _held) = app.bodies().open(&headers, body, room_for(longest))?.all().await?;
    let Essay { text, language, ignored, content } = read(&body, longest)?;
    let key = key.bind(app.engine(), &owner, ROUTE, &content, (&media_type, &body));
    let id = app.engine().new_batch_id(key.as_ref())?;
    let answer = answer(id, correlation, ignored)?;
    let submission = Submission {
        id,
        correlation,
        owner,
        kind: Kind::Single,
        language: language.unwrap_or_else(|| app.fixed().default_language),
        name: None,
        details: Details::default(),
        labels: Labels::new(),
        open: false,
        phases: vec![Phase::Spellcheck],
        essays: vec![SubmittedEssay { client_ref: None, text: SubmittedText::Body(Bytes::from(text)) }],
        key,
        answer,
        trace,
    };
    Ok(reply::receipt(app.engine().submit(submission).await?))
}

/// The largest body: in JSON a byte of the text can take six (`\u0000`), and 64 KiB are for the rest of the document.
fn room_for(longest: usize) -> ByteSize {
    ByteSize::b(longest as u64 * 6 + (64 << 10))
}

fn from_text(body: &[u8], longest: usize) -> Result<Essay, Problem> {
    let mut faults = Faults::default();
    let text = decode(&mut faults, Place::Request(""), body);
    let text = checked(faults, text, longest, "")?;
    let content = content(&text, None, Vec::new());
    Ok(Essay { text, language: None, ignored: Vec::new(), content })
}

fn from_json(body: &[u8], longest: usize) -> Result<Essay, Problem> {
    let body = repair(body);
    let mut members = members(&body)?;
    let mut faults = Faults::default();
    let (mut ignored, mut others) = (Vec::new(), Vec::new());
    members.list.retain(|(name, value)| {
        let known = FIELDS.contains(&name.as_str());
        if !known {
            others.push((name.clone(), value.get()));
        }
        // Only printable names are repeated in the answer, so that essay text in the place of a name is not.
        if !known && !ignored.contains(name) && crate::shape::printable(name).is_some() {
            ignored.push(name.clone());
        }
        known
    });
    members.overflow = false;
    let (mut text, mut stated) = (None, None);
    faults.members(Place::Request(""), members, FIELDS, |faults, name, value| match name {
        "text" => text = faults.string(Place::Request("/text"), value),
        _ => {
            stated = faults
                .string(Place::Request("/language"), value)
                .and_then(|word| language(faults, Place::Request("/language"), &word));
        }
    });
    if text.is_none() && faults.is_empty() {
        faults.add(Place::Request("/text"), Code::MissingField, "`text` is missing");
    }
    let text = checked(faults, text, longest, "/text")?;
    let content = content(&text, stated, others);
    Ok(Essay { text, language: stated, ignored, content })
}

/// The content of a request. Members that are ignored belong to it: a request that differs in one of them means another essay.
fn content(text: &str, language: Option<Language>, mut others: Vec<(String, &str)>) -> [u8; 32] {
    let mut content = Content::default();
    content.add("text", Some(text));
    content.add("language", language.map(Language::as_str));
    others.sort_unstable();
    for (name, value) in others {
        let value = serde_json::from_str(value).map(|value: serde_json::Value| value.to_string());
        content.add("other", Some(&name));
        content.add("value", value.ok().as_deref());
    }
    content.digest()
}

fn checked(mut faults: Faults, text: Option<String>, longest: usize, path: &str) -> Result<String, Problem> {
    if let Some(text) = &text {
        check_text(&mut faults, Place::Request(path), text, longest);
    }
    match text {
        Some(text) if faults.is_empty() => Ok(without_mark(text)),
        _ => Err(faults.into_problem()),
    }
}

fn answer(id: BatchId, correlation_id: Uuid, ignored_fields: Vec<String>) -> Result<Answer, Problem> {
    let essay_id = EssayId::new(id, 0);
    let message = "The essay is stored and will be spellchecked.".into();
    Ok(Answer {
        status: 202,
        body: reply::to_json(&Triggered { message, essay_id, correlation_id, ignored_fields })?,
        location: Some(format!("/v1/essay/{essay_id}")),
        etag: Some(etag(1)),
    })
}
