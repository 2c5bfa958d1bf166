//! `/openapi.json`: the API's description, from the handlers and the types of their answers.

use std::sync::LazyLock;

use axum::response::Response;
use bytes::Bytes;
use utoipa::OpenApi;

use super::submission::{BatchRequest, EssayRequest, FormRequest};
use super::{batch, content, essay, health, limits, problem, reply};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Batch Orchestrator Service",
        description = "Takes essays, one or a class at a time, and sees them through processing phases that other services run.\n\nErrors are RFC 9457 problems with a stable `code`; each `type` leads to a page that says what happened, why, and what to do. Every answer carries `X-Correlation-ID`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "essays", description = "Single essays."),
        (name = "batches", description = "Batches of essays."),
        (name = "content", description = "The embedded Content Service, by the platform's contract. Not there where another is configured."),
        (name = "operation", description = "For whoever runs the service."),
    ),
    paths(
        essay::trigger::trigger,
        essay::show::show,
        batch::create::create,
        batch::list::list,
        batch::show::show,
        batch::status::status,
        batch::essays::essays,
        batch::results::results,
        batch::start::spellcheck,
        batch::start::nlp,
        batch::start::ai_feedback,
        batch::start::cj_assessment,
        batch::start::pipeline,
        content::store,
        content::fetch,
        content::erase,
        limits::limits,
        health::alive,
        health::ready,
        health::figures,
    ),
    components(schemas(BatchRequest, EssayRequest, FormRequest, problem::Problem)),
)]
struct Description;

/// The description as pretty JSON, the same text from the same program.
pub static JSON: LazyLock<String> = LazyLock::new(|| {
    // A description that is made of strings always serialises.
    let mut json = Description::openapi().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
});

pub(super) async fn serve() -> Response {
    reply::json(Bytes::from_static(JSON.as_bytes()))
}
