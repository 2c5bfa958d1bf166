//! Protection against request smuggling: a chunked request is the last one on its connection.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Closes the connection after a request with a chunked body.
///
/// If a request has both `Transfer-Encoding: chunked` and `Content-Length`, hyper reads the chunks and drops the length, so
/// this layer cannot tell that it was there. A proxy in front may have used the length; on a connection that closes, nothing
/// can be smuggled behind the body. RFC 9112 §6.1 requires this of a server that does not refuse such a request.
pub(crate) async fn close_after_chunks(request: Request, next: Next) -> Response {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
