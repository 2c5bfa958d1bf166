//! Authentication and authorization. The only file that knows callers.
//!
//! [`guard`] runs before every route and asks [`need`] which scope the route requires, so a route that is not listed here still
//! requires a caller. It reads no body. Nothing is cached: each request looks its token up, so a revocation takes effect with
//! the next request, and unknown tokens take no memory.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use client::documents::{Scope, TokenStatus};
use secrecy::ExposeSecret as _;
use secret::Secret;
use store::Owner;

use super::app::App;
use super::callers::Counted;
use super::problem::{Code, Problem};
use super::reply::close_unread;
use crate::credentials::{self, Presented, Scopes, is_same_secret};
use crate::metrics::CALLERS_REFUSED;
use crate::settings::Auth;
use crate::shares::Share;

/// The user for whom a gateway makes the request.
pub(crate) const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// The organisation for which that user acts.
pub(crate) const ORG_ID: HeaderName = HeaderName::from_static("x-org-id");

/// Most bytes in the name of a user or an organisation.
const LONGEST: usize = 255;

/// Why a token is refused that any client could have created.
const UNTRUSTED: &str = "The token was created over HTTP while no caller was authenticated, when any program and any web page could \
                         create one. Have a new one created by an administrator, or with `bos token create` while no server runs.";

/// Open routes: monitoring, and the pages that explain problems.
const OPEN: [&str; 6] = ["/healthz", "/v1/healthz", "/readyz", "/metrics", "/problems", "/problems/{code}"];

/// Routes that concern the whole installation, with everything below them.
const FOR_ADMINISTRATORS: [&str; 3] = ["/v1/tokens", "/v1/outbox", "/v1/dead-letters"];

/// The scope that a route requires; `None` for an open route.
pub(crate) fn need(method: &Method, route: &str) -> Option<Scope> {
    if OPEN.contains(&route) {
        return None;
    }
    let is_below =
        |path: &&str| route.strip_prefix(*path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if FOR_ADMINISTRATORS.iter().any(is_below) {
        return Some(Scope::Admin);
    }
    match *method {
        Method::GET | Method::HEAD => Some(Scope::Read),
        // Stored texts have no owner, so the right to erase one is the right to erase any.
        Method::DELETE if route.starts_with("/v1/content/") => Some(Scope::Admin),
        _ => Some(Scope::Write),
    }
}

/// An authenticated caller with its scopes.
#[derive(Clone)]
struct Principal {
    user_id: String,
    org_id: Option<String>,
    scopes: Scopes,
    /// `None` without authentication: all requests are of one caller then, so a limit would let one client lock out the others. The
    /// limit on connections of one peer holds there too.
    counted_as: Option<Counted>,
}

/// The caller of a request. Its [`Owner`] is in the WHERE of every statement that the request runs.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(super) Owner);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(Principal { user_id, org_id, .. }) = parts.extensions.get::<Principal>().cloned() else {
            tracing::error!("a request reached its handler without authentication");
            return Err(Problem::new(Code::Internal, "Internal error; the service's log has the details."));
        };
        Ok(Self(Owner { user_id, org_id }))
    }
}

/// Passes a request on to its handler if its caller is authenticated and has the scope that the route requires.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let Some(scope) = need(request.method(), route) else { return next.run(request).await };
    let admitted = admit(&app, request.headers(), scope).await;
    match admitted.and_then(|principal| Ok((count(&app, &principal)?, principal))) {
        Ok((share, principal)) => {
            request.extensions_mut().insert(principal);
            let response = next.run(request).await;
            drop(share);
            response
        }
        Err(problem) => close_unread(&request, problem.into_response()),
    }
}

/// Counts the request as in progress until the share is dropped. Requests that wait for a change (`?wait=`) count as well.
fn count(app: &App, principal: &Principal) -> Result<Option<Share<Counted>>, Problem> {
    let Some(key) = principal.counted_as.clone() else { return Ok(None) };
    let callers = app.callers();
    callers.take(key).map(Some).ok_or_else(|| {
        let detail = format!(
            "The caller has {} requests in progress, as many as one caller may have.",
            callers.limit()
        );
        refused("limit", Code::TooManyRequests, detail)
    })
}

async fn admit(app: &App, headers: &HeaderMap, scope: Scope) -> Result<Principal, Problem> {
    let principal = match app.settings().auth {
        Auth::Off => {
            Principal { user_id: "local".to_owned(), org_id: None, scopes: Scopes::ALL, counted_as: None }
        }
        Auth::Token => principal_from_token(app, bearer(headers)?).await?,
        Auth::Gateway => {
            let bearer = bearer(headers)?;
            let of_gateway = app.settings().gateway_token.as_ref();
            let is_gateways = |token: &&Secret| is_same_secret(token.get().expose_secret(), bearer);
            if of_gateway.is_some_and(|token| is_gateways(&token)) {
                principal_from_gateway(headers)?
            } else {
                match principal_from_token(app, bearer).await {
                    // The gateway's token may have been rotated.
                    Err(problem) if problem.code() == Code::InvalidToken => of_gateway
                        .filter(|token| token.read_again_after_refusal("gateway_token"))
                        .filter(is_gateways)
                        .map_or(Err(problem), |_| principal_from_gateway(headers))?,
                    found => found?,
                }
            }
        }
    };
    if principal.scopes.has(scope) {
        Ok(principal)
    } else {
        let detail =
            format!("The request requires the scope {}, which the caller does not have.", scope.as_str());
        Err(refused("scope", Code::InsufficientScope, detail))
    }
}

/// The token in the header `Authorization`, which must occur once and use the scheme `Bearer`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| {
        let detail = "The request has no token; send Authorization: Bearer and a token.";
        refused("missing", Code::Unauthenticated, detail)
    })?;
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let parts = text.and_then(|text| text.split_once(' '));
    let token =
        parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    token.ok_or_else(|| invalid("malformed", "The header Authorization must be Bearer and one token."))
}

/// The caller of a token in this service's table.
async fn principal_from_token(app: &App, bearer: &str) -> Result<Principal, Problem> {
    let unknown = || invalid("unknown", "The token is not known here.");
    let presented = Presented::read(bearer).ok_or_else(unknown)?;
    let token_id = presented.token_id.to_owned();
    let found = app.engine().store().peek(move |tx| {
        Box::pin(async move { Ok::<_, store::Error>(tx.token(&token_id).await?.map(|row| (row, tx.now()))) })
    });
    let (row, now) = found.await?.filter(|(row, _)| presented.is(&row.sha256)).ok_or_else(unknown)?;
    // Only the holder of the whole token learns that it has expired or was revoked.
    match credentials::status(&row, now) {
        TokenStatus::Active => Ok(Principal {
            user_id: row.owner.user_id,
            org_id: row.owner.org_id,
            scopes: Scopes::parse(&row.scopes),
            counted_as: Some(Counted::Token(row.token_id)),
        }),
        TokenStatus::Expired => Err(invalid("expired", "The token has expired.")),
        TokenStatus::Revoked => Err(invalid("revoked", "The token was revoked.")),
        TokenStatus::Untrusted => Err(invalid("untrusted", UNTRUSTED)),
    }
}

/// The caller that an authenticated gateway names.
fn principal_from_gateway(headers: &HeaderMap) -> Result<Principal, Problem> {
    let unusable =
        || invalid("unnamed", "The gateway's headers X-User-ID and X-Org-ID must name one caller.");
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map_or(Some(""), |value| value.to_str().ok().map(str::trim));
        value.filter(|_| values.next().is_none()).ok_or_else(unusable)
    };
    let (user_id, org_id) = (one(USER_ID)?, one(ORG_ID)?);
    if user_id.is_empty() || user_id.len() > LONGEST || org_id.len() > LONGEST {
        return Err(unusable());
    }
    let org_id = Some(org_id).filter(|org_id| !org_id.is_empty()).map(str::to_owned);
    let counted_as = Some(Counted::OfGateway(user_id.to_owned(), org_id.clone()));
    Ok(Principal { user_id: user_id.to_owned(), org_id, scopes: Scopes::USUAL, counted_as })
}

fn invalid(reason: &'static str, detail: &str) -> Problem {
    refused(reason, Code::InvalidToken, detail)
}

fn refused(reason: &'static str, code: Code, detail: impl Into<String>) -> Problem {
    metrics::counter!(CALLERS_REFUSED, "reason" => reason).increment(1);
    Problem::new(code, detail)
}

#[cfg(test)]
mod tests {
    use super::{Method, Scope, need};

    #[test]
    fn a_route_that_is_not_listed_requires_a_caller() {
        assert_eq!(need(&Method::GET, "/v1/anything"), Some(Scope::Read));
        assert_eq!(need(&Method::HEAD, ""), Some(Scope::Read));
        assert_eq!(need(&Method::PATCH, "/v1/anything"), Some(Scope::Write));
        assert_eq!(need(&Method::GET, "/v1/tokens/{token_id}"), Some(Scope::Admin));
        assert_eq!(need(&Method::GET, "/v1/tokensmith"), Some(Scope::Read));
        assert_eq!(need(&Method::GET, "/metrics"), None);
        assert_eq!(need(&Method::GET, "/metrics/more"), Some(Scope::Read));
    }
}
