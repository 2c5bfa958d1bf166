//! `/openapi.json`: the API's description, from the handlers and the types of their answers.

use std::sync::LazyLock;

use axum::http::Method;
use bytes::Bytes;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::auth::need;
use super::submission::{BatchRequest, EssayRequest, FormRequest};
use super::{admin, batch, content, essay, health, limits, problem, reply, tokens};

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
        (name = "tokens", description = "What callers prove themselves with. For administrators."),
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
        tokens::create::create,
        tokens::list::list,
        tokens::revoke::revoke,
        admin::routes::outbox::list,
        admin::routes::outbox::retry,
        admin::routes::outbox::skip,
        admin::routes::dead_letters::list,
        admin::routes::dead_letters::show,
        admin::routes::dead_letters::replay,
        admin::routes::dead_letters::drop,
        health::alive,
        health::ready,
        health::figures,
    ),
    components(schemas(BatchRequest, EssayRequest, FormRequest, problem::Problem)),
    modifiers(&Callers, &Refusals),
)]
struct Description;

/// The name of the one way to say who calls.
const SCHEME: &str = "token";

/// What every operation says about its callers, from the list that the guard itself goes by.
struct Callers;

impl Modify for Callers {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "A token from `bos token create`; behind a gateway the gateway's own, with `X-User-ID` and `X-Org-ID`. An \
             installation with `auth = \"off\"` asks for none.",
        ));
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme.build()));
        for (name, text) in [
            ("Unauthenticated", "Nobody says who calls, or the token is of no use."),
            ("InsufficientScope", "The caller may not do this."),
        ] {
            components.responses.insert(name.to_owned(), problem_response(text).into());
        }
        each_operation(description, tell_callers);
    }
}

/// What every operation can be refused for, whatever it does: the frame around the handlers, the readers of bodies and the store
/// are the same for all. What an operation says itself is left as it is.
struct Refusals;

/// Status, name, in words, and the operations that give it.
type Refusal = (&'static str, &'static str, &'static str, fn(&Method, &Operation) -> bool);

const REFUSALS: [Refusal; 8] = [
    (
        "400",
        "Malformed",
        "An id, a parameter, a header or the body is not written as it must be.",
        |method, _| *method != Method::DELETE,
    ),
    ("408", "TooSlow", "The body came too slowly.", has_body),
    (
        "409",
        "InProgress",
        "The same request is being worked on, or another change was in the way for too long.",
        changes,
    ),
    ("413", "TooLarge", "The body is too large.", has_body),
    ("415", "Unsupported", "The body has a media type or an encoding that is not taken.", has_body),
    (
        "422",
        "Unacceptable",
        "The Idempotency-Key was used for another request, or the body is not acceptable.",
        is_repeatable,
    ),
    ("429", "Busy", "Too many bytes of other requests are being worked on; see `Retry-After`.", has_body),
    ("503", "Unavailable", "The database cannot serve now; see `Retry-After`.", |_, _| true),
];

fn has_body(method: &Method, _: &Operation) -> bool {
    *method == Method::POST
}

/// The platform's contract for texts has its own words for everything else.
fn changes(method: &Method, operation: &Operation) -> bool {
    *method != Method::GET && operation.tags.iter().flatten().all(|tag| tag != "content")
}

fn is_repeatable(_: &Method, operation: &Operation) -> bool {
    let is_key = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.name == "Idempotency-Key",
        RefOr::Ref(_) => false,
    };
    operation.parameters.iter().flatten().any(is_key)
}

impl Modify for Refusals {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        for (_, name, text, _) in REFUSALS {
            components.responses.insert(name.to_owned(), problem_response(text).into());
        }
        each_operation(description, |method, path, operation| {
            if need(method, path).is_none() {
                return;
            }
            for (status, name, _, gives) in REFUSALS {
                if gives(method, operation) {
                    let answers = &mut operation.responses.responses;
                    answers
                        .entry(status.to_owned())
                        .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
                }
            }
        });
    }
}

fn problem_response(text: &str) -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(text).content("application/problem+json", problem).build()
}

fn each_operation(description: &mut utoipa::openapi::OpenApi, tell: impl Fn(&Method, &str, &mut Operation)) {
    for (path, item) in &mut description.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                tell(&method, path, operation);
            }
        }
    }
}

fn tell_callers(method: &Method, path: &str, operation: &mut Operation) {
    let Some(scope) = need(method, path) else {
        operation.security = Some(Vec::new());
        return;
    };
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope.as_str()])]);
    for (status, name) in [("401", "Unauthenticated"), ("403", "InsufficientScope")] {
        let response = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.insert(status.to_owned(), response);
    }
}

/// The description as pretty JSON, the same text from the same program.
pub static JSON: LazyLock<String> = LazyLock::new(|| {
    // A description that is made of strings always serialises.
    let mut json = Description::openapi().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
});

pub(crate) async fn serve() -> axum::response::Response {
    reply::json(Bytes::from_static(JSON.as_bytes()))
}
