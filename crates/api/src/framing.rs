//! Protection against requests that two programs read differently (request smuggling).

use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::host::Host;
use crate::problem::{Code, Problem};

/// Marks a request that the accept loop read from a socket. A request that a test makes in the process has no `Host`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromSocket;

/// Refuses a request whose `Host` is not as RFC 9112 §3.2 requires, and closes the connection after a request with a chunked body.
///
/// If a request has both `Transfer-Encoding: chunked` and `Content-Length`, hyper reads the chunks and drops the length, so
/// this layer cannot tell that it was there. A proxy in front may have used the length; on a connection that closes, nothing
/// can be smuggled behind the body. RFC 9112 §6.1 requires this of a server that does not refuse such a request.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    let fault = request.extensions().get::<FromSocket>().and_then(|_| host_fault(&request));
    let is_last = fault.is_some() || request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = match fault {
        Some(detail) => Problem::new(Code::InvalidHost, detail).into_response(),
        None => next.run(request).await,
    };
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What is wrong with the header `Host` of a request.
fn host_fault(request: &Request) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            Some("A request of HTTP/1.1 must have a header Host.")
        }
        (None, _) => None,
        (Some(_), Some(_)) => Some("The request has more than one header Host."),
        (Some(host), None) => {
            let is_host = host.to_str().is_ok_and(|host| Host::parse_with_port(host).is_some());
            (!is_host).then_some("The header Host must be a host name or an address, with or without a port.")
        }
    }
}
