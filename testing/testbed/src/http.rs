//! HTTP/1.1 for programs that put load on the service or judge it from outside: requests as bytes that are made
//! beforehand, and the head of an answer. Reading and writing is up to the caller.
//!
//! Crate `client` does not fit there: it retries, so that its caller does not learn which request was sent and which
//! was lost, and it takes more of the processors, which the load shares with the measured service.

use anyhow::{Context as _, Result, bail};
use httparse::{EMPTY_HEADER, Header, Response};

/// Enough for every head of the service.
const MOST_HEADERS: usize = 32;

/// A request without a body.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// As [`get`], for a document of which the caller has the version `etag`.
pub fn get_unless(path: &str, etag: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n").into_bytes()
}

/// A body under an Idempotency-Key.
pub fn post(path: &str, media_type: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \"{key}\"\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The head of an answer; it borrows the bytes that were read.
#[derive(Debug)]
pub struct Head<'b> {
    /// The status code.
    pub status: u16,
    /// Where the body begins in the bytes.
    pub begins: usize,
    /// The length of the body in bytes.
    pub length: usize,
    headers: [Header<'b>; MOST_HEADERS],
}

impl<'b> Head<'b> {
    /// Reads the head at the beginning of these bytes; `None` while it is not complete.
    ///
    /// # Errors
    /// If this is no HTTP, or does not tell how long the body is.
    pub fn parse(bytes: &'b [u8]) -> Result<Option<Self>> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut response = Response::new(&mut headers);
        let httparse::Status::Complete(begins) = response.parse(bytes)? else { return Ok(None) };
        let status = response.code.context("an answer without a status")?;
        let mut head = Self { status, begins, length: 0, headers };
        head.length = match (head.header("content-length"), status) {
            // A 304 may say how long the document would be; it has no body all the same.
            (_, 204 | 304) => 0,
            (Some(length), _) => length.parse().context("a Content-Length that is no number")?,
            (None, _) => bail!("an answer {status} without Content-Length"),
        };
        Ok(Some(head))
    }

    /// The value of a header; `name` in any case.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        let found = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(found.value).ok()
    }

    /// The body, once all of it is in these bytes, which begin with this head.
    pub fn body_in<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.begins..self.begins + self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nETag: \"4\"\r\nContent-Length: 2\r\n\r\n{}";
        assert!(Head::parse(&bytes[..30]).unwrap().is_none());
        let head = Head::parse(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.header("etag"), head.length), (202, Some("\"4\""), 2));
        assert_eq!(head.body_in(bytes), Some(&b"{}"[..]));
        assert_eq!(head.body_in(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn an_answer_of_unknown_length_is_an_error() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        let unchanged = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(Head::parse(unchanged).unwrap().unwrap().length, 0);
    }

    #[test]
    fn a_request_ends_with_its_body() {
        let request = String::from_utf8(post("/v1/batch", "application/json", "k", b"{}")).unwrap();
        assert!(
            request.contains("Idempotency-Key: \"k\"\r\n")
                && request.ends_with("Content-Length: 2\r\n\r\n{}")
        );
    }
}
