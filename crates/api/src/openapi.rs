//! `/openapi.json`: the OpenAPI description, derived from the handlers and the types of their documents, with the limits of the
//! server that serves it.

mod closed_sets;
mod limit_texts;

use axum::extract::State;
use axum::http::Method;
use bytes::Bytes;
use client::documents::{BatchRequest, EssayRequest};
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use self::closed_sets::ClosedSets;
use super::app::App;
use super::auth::need;
use super::submission::FormRequest;
use super::{admin, batch, content, essay, health, limits, problem, reply, tokens};
use crate::settings::ApiSettings;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Batch Orchestrator Service",
        description = "Takes essays, one or a class at a time, and runs them through processing phases that other services execute.\n\nErrors are RFC 9457 problems with a stable `code`. The `type` of a problem is the path of a page that explains what happened, why, and what to do. Every answer has the header `X-Correlation-ID`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "essays", description = "Single essays."),
        (name = "batches", description = "Batches of essays."),
        (name = "content", description = "The embedded Content Service, with the platform's contract. Absent if another Content Service is configured."),
        (name = "tokens", description = "API tokens. For administrators."),
        (name = "operation", description = "Health, metrics and limits of the service."),
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
    modifiers(&ClosedSets, &Callers, &Refusals),
)]
struct Description;

/// The name of the security scheme.
const SCHEME: &str = "token";

/// Adds to every operation the scope that it requires, from the list that authentication uses ([`need`]).
struct Callers;

impl Modify for Callers {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "A token from `bos token create`. Behind a gateway: the gateway's token, with `X-User-ID` and `X-Org-ID`. An \
             installation with `auth = \"off\"` requires no token.",
        ));
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme.build()));
        for (name, text) in [
            ("Unauthenticated", "The token is missing or invalid."),
            (
                "InsufficientScope",
                "The caller lacks the required scope, or the host or the web page of the request is foreign.",
            ),
            ("Foreign", "The host or the web page of the request is foreign."),
        ] {
            components.responses.insert(name.to_owned(), problem_response(text).into());
        }
        each_operation(description, tell_callers);
    }
}

/// Adds to every operation the refusals that do not depend on it: those of the layers around the handlers, of the readers of
/// bodies and of the store. Responses that an operation declares itself are kept.
struct Refusals;

/// Status, name, description, and the operations that can answer with it.
type Refusal = (&'static str, &'static str, &'static str, fn(&Method, &Operation) -> bool);

const REFUSALS: [Refusal; 8] = [
    ("400", "Malformed", "An id, a parameter, a header or the body is malformed.", |method, _| {
        *method != Method::DELETE
    }),
    ("408", "TooSlow", "The body arrived too slowly.", has_body),
    (
        "409",
        "InProgress",
        "The same request is in progress, or another change blocked this one for too long.",
        changes,
    ),
    ("413", "TooLarge", "The body is too large.", has_body),
    ("415", "Unsupported", "The media type or the encoding of the body is not supported.", has_body),
    (
        "422",
        "Unacceptable",
        "The Idempotency-Key was used for another request, or the body is invalid.",
        is_repeatable,
    ),
    (
        "429",
        "Busy",
        "The caller has too many requests in progress, or too many bytes of all requests are in flight; see `Retry-After`.",
        |_, _| true,
    ),
    ("503", "Unavailable", "The database is unavailable; see `Retry-After`.", |_, _| true),
];

fn has_body(method: &Method, _: &Operation) -> bool {
    *method == Method::POST
}

/// Whether the operation changes batches, essays or tokens. The routes of the content contract have their own errors.
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
    let mut refusals = vec![("403", "Foreign")];
    operation.security = Some(Vec::new());
    if let Some(scope) = need(method, path) {
        refusals = vec![("401", "Unauthenticated"), ("403", "InsufficientScope")];
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope.as_str()])]);
    }
    for (status, name) in refusals {
        let response = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.insert(status.to_owned(), response);
    }
}

/// The description as indented JSON, with the limits of a server's settings.
pub fn json(settings: &ApiSettings) -> String {
    let mut description = Description::openapi();
    limit_texts::append_limits(&mut description, settings);
    render(&description)
}

fn render(description: &utoipa::openapi::OpenApi) -> String {
    // The description consists of strings, so serialization cannot fail.
    let mut json = description.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

pub(crate) async fn serve(State(app): State<App>) -> axum::response::Response {
    let description = app.description().get_or_init(|| Bytes::from(json(app.settings())));
    reply::json(description.clone())
}
