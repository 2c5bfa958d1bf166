//! Where a request ends must not be a matter of opinion.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Lets no request follow a chunked body on its connection.
///
/// Where a request has a length beside its chunks, the server reads the chunks and drops the length before anybody can see that
/// it was there. What stands before us may have believed the length; on a connection that ends nothing can be smuggled behind
/// the body (RFC 9112 §6.1 demands it of a server that does not refuse such a request).
pub(crate) async fn close_after_chunks(request: Request, next: Next) -> Response {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
