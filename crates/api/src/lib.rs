//! The HTTP API of the service: routes, problems, callers, the accept loop and the OpenAPI description.
//!
//! [`router`] builds the API from an [`App`], and [`serve::serve`] accepts the connections. A request passes, from the outside in:
//! `correlation` (correlation id, log line, metrics), the default response headers, `framing`, `origin` (foreign hosts and web
//! pages), panics as problems, `auth` (the caller, its scope and its limit), and its handler. Handlers are filed by resource, one
//! file per verb (`batch/`, `essay/`, `tokens/`). The documents that they answer with are in [`client::documents`]. Every error is
//! a [`problem::Problem`].

pub mod admin;
mod app;
mod auth;
mod batch;
pub mod body;
mod callers;
mod content;
pub mod correlation;
pub mod credentials;
mod docs;
mod essay;
pub mod essay_file;
mod framing;
mod health;
mod host;
mod idempotency;
pub mod json;
mod limits;
mod metrics;
pub mod openapi;
mod origin;
mod paging;
mod path;
pub mod problem;
mod problem_pages;
pub mod query;
mod reply;
mod revision;
mod schemas;
pub mod serve;
pub mod settings;
mod shape;
mod shares;
pub mod starting;
mod status;
mod submission;
pub mod suggest;
mod tokens;
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::{delete, get, post};
use telemetry::sampling::Sampling;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

pub use app::App;
use body::Bodies;
pub use body::BodyLimits;
use companions::ContentService;
pub use host::Host;
pub use origin::Origins;
use problem::{Code, Problem};
pub use settings::{ApiSettings, Auth};

/// The whole API: every route, behind authentication and the layers of [`frame`].
pub fn router(app: App) -> Router {
    let mut routes = Router::new()
        .route("/v1/trigger-spellcheck", post(essay::trigger::trigger))
        .route("/v1/essay/{essay_id}", get(essay::show::show))
        .route("/v1/batch", post(batch::create::create).get(batch::list::list))
        .route("/v1/batch/{batch_id}", get(batch::show::show))
        .route("/v1/batch/{batch_id}/status", get(batch::status::status))
        .route("/v1/batch/{batch_id}/essays", get(batch::essays::essays))
        .route("/v1/batch/{batch_id}/results", get(batch::results::results))
        .route("/v1/batch/{batch_id}/initiate-spellcheck", post(batch::start::spellcheck))
        .route("/v1/batch/{batch_id}/initiate-nlp", post(batch::start::nlp))
        .route("/v1/batch/{batch_id}/initiate-ai-feedback", post(batch::start::ai_feedback))
        .route("/v1/batch/{batch_id}/initiate-cj-assessment", post(batch::start::cj_assessment))
        .route("/v1/batch/{batch_id}/pipeline", post(batch::start::pipeline))
        .route("/v1/limits", get(limits::limits))
        .route("/v1/tokens", post(tokens::create::create).get(tokens::list::list))
        .route("/v1/tokens/{token_id}", delete(tokens::revoke::revoke))
        .route("/v1/outbox", get(admin::routes::outbox::list))
        .route("/v1/outbox/{shard}/{row}/retry", post(admin::routes::outbox::retry))
        .route("/v1/outbox/{shard}/{row}/skip", post(admin::routes::outbox::skip))
        .route("/v1/dead-letters", get(admin::routes::dead_letters::list))
        .route(
            "/v1/dead-letters/{topic}/{partition}/{offset}",
            get(admin::routes::dead_letters::show).delete(admin::routes::dead_letters::drop),
        )
        .route(
            "/v1/dead-letters/{topic}/{partition}/{offset}/replay",
            post(admin::routes::dead_letters::replay),
        )
        .route("/healthz", get(health::alive))
        .route("/v1/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::figures))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(docs::enter))
        .route("/docs/", get(docs::index))
        .route("/docs/{*path}", get(docs::asset));
    if let Some(service) = app.content() {
        let state = content::ContentState { service, bodies: app.bodies().clone() };
        routes = routes.merge(content::routes(state).with_state(()));
    }
    let guarded = routes.route_layer(middleware::from_fn_with_state(app.clone(), auth::guard));
    let (origins, sampling) = (app.settings().origins.clone(), app.settings().sampling);
    frame(guarded, origins, sampling).with_state(app)
}

/// Monitoring alone, for a listener of its own: when clients hold every connection of the API, probes are still answered.
pub fn probe_router(app: App) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::figures));
    let (origins, sampling) = (app.settings().origins.clone(), app.settings().sampling);
    frame(routes, origins, sampling).with_state(app)
}

/// The Content Service alone, for `bos companions`. It authenticates no caller, like the platform's own.
pub fn content_router(service: Arc<ContentService>, limits: BodyLimits, origins: Origins) -> Router {
    let state = content::ContentState { service, bodies: Bodies::new(limits) };
    frame(content::routes(state).route("/healthz", get(health::alive)), origins, Sampling::default())
}

/// Adds the layers that every request passes: problem pages, problems for unknown paths and methods and for panics, the checks of
/// the host, the origin and the framing, security headers, and, outermost, the correlation id with the request's spans, log line and
/// metrics.
pub fn frame<S: Clone + Send + Sync + 'static>(
    handlers: Router<S>,
    origins: Origins,
    sampling: Sampling,
) -> Router<S> {
    handlers
        .merge(problem_pages::routes())
        .fallback(async |uri: Uri| {
            Problem::new(Code::NotFound, format!("Nothing is served at {}.", uri.path()))
        })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            let detail =
                format!("{} does not accept {method}; the header Allow lists the methods.", uri.path());
            Problem::new(Code::MethodNotAllowed, detail)
        })
        .layer(CatchPanicLayer::custom(|_| -> Response {
            Problem::new(Code::Internal, "Internal error; the service's log has the details.").into_response()
        }))
        .layer(middleware::from_fn_with_state(origins, origin::refuse_foreign))
        .layer(middleware::from_fn(framing::check))
        .layer(if_absent(header::CACHE_CONTROL, "no-store"))
        .layer(if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(if_absent(header::REFERRER_POLICY, "no-referrer"))
        .layer(middleware::from_fn_with_state(sampling, correlation::correlate))
}

fn if_absent(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
