//! `/openapi.json`: the API's description, from the handlers and the types of their answers.

use std::sync::LazyLock;

use axum::http::Method;
use axum::response::Response;
use bytes::Bytes;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::auth::need;
use super::submission::{BatchRequest, EssayRequest, FormRequest};
use super::{batch, content, essay, health, limits, problem, reply, tokens};

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
        health::alive,
        health::ready,
        health::figures,
    ),
    components(schemas(BatchRequest, EssayRequest, FormRequest, problem::Problem)),
    modifiers(&Callers),
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
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            let response =
                ResponseBuilder::new().description(text).content("application/problem+json", problem);
            components.responses.insert(name.to_owned(), response.build().into());
        }
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
                    tell_callers(&method, path, operation);
                }
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

pub(super) async fn serve() -> Response {
    reply::json(Bytes::from_static(JSON.as_bytes()))
}
