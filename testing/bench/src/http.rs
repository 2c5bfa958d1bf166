//! An HTTP client that uses little processor time, because it shares the machine with the measured service.
//!
//! Requests are bytes that are made in advance. Of an answer it reads the status, two headers, and the body of the length in
//! `Content-Length`.

use std::{net::SocketAddr, ops::Range};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The most headers of an answer; chosen, more than the service sends.
const MOST_HEADERS: usize = 32;

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    /// The range of the Idempotency-Key in `bytes`.
    key: Option<Range<usize>>,
}

impl Request {
    /// A GET request.
    pub(crate) fn get(path: &str) -> Self {
        Self { bytes: format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(), key: None }
    }

    /// A GET request with `If-None-Match`.
    pub(crate) fn get_unless(path: &str, etag: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n");
        Self { bytes: bytes.into_bytes(), key: None }
    }

    /// A POST request with a JSON body and an Idempotency-Key, which [`Request::renew_key`] sets.
    pub(crate) fn post(path: &str, body: &[u8]) -> Self {
        let mut bytes =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \"").into_bytes();
        let start = bytes.len();
        bytes.extend([b'0'; 32]);
        let key = start..bytes.len();
        let rest = format!("\"\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        bytes.extend(rest.into_bytes());
        bytes.extend(body);
        Self { bytes, key: Some(key) }
    }

    /// Sets an Idempotency-Key that is unique for this client and number.
    pub(crate) fn renew_key(&mut self, client: usize, number: u64) {
        if let Some(place) = self.key.clone().and_then(|key| self.bytes.get_mut(key)) {
            place.copy_from_slice(format!("{client:012}{number:020}").as_bytes());
        }
    }
}

/// An answer, whose body is in the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Checks the status.
    ///
    /// # Errors
    /// The answer has another status; the text contains its body.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "the service answered {} instead of {status}: {}",
            self.status,
            String::from_utf8_lossy(self.body)
        );
        Ok(self)
    }

    /// A field of the body, which is a JSON object.
    pub(crate) fn field(&self, name: &str) -> Result<String> {
        let body: serde_json::Value = serde_json::from_slice(self.body).context("the answer is not JSON")?;
        let field = body.get(name).with_context(|| format!("the answer has no `{name}`"))?;
        Ok(field.as_str().map_or_else(|| field.to_string(), str::to_owned))
    }
}

/// A connection that stays open between requests.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to the service")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<Answer<'_>> {
        self.stream.write_all(&request.bytes).await.context("sending a request")?;
        self.buffer.clear();
        let head = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service closed the connection");
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < head.end + head.body {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service closed the connection");
        }
        let body = self.buffer.get(head.end..head.end + head.body).unwrap_or_default();
        Ok(Answer { status: head.status, etag: head.etag, body })
    }
}

struct Head {
    status: u16,
    etag: Option<String>,
    /// The offset of the body.
    end: usize,
    /// The length of the body in bytes.
    body: usize,
}

impl Head {
    /// Parses the head of an answer; `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(end) = response.parse(bytes)? else { return Ok(None) };
        let status = response.code.context("an answer without a status")?;
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            str::from_utf8(found.value).ok()
        };
        let body = match (header("content-length"), status) {
            (Some(length), _) => length.parse().context("the Content-Length is not a number")?,
            (None, 204 | 304) => 0,
            (None, _) => bail!("an answer {status} without Content-Length"),
        };
        // A 304 may state the length of the document, but has no body.
        let body = if status == 304 { 0 } else { body };
        Ok(Some(Self { status, etag: header("etag").map(str::to_owned), end, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_when_it_is_complete() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nETag: \"4\"\r\nContent-Length: 2\r\n\r\n{}";
        assert!(Head::parse(&bytes[..30]).unwrap().is_none());
        let head = Head::parse(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.etag.as_deref(), head.body), (202, Some("\"4\""), 2));
        assert_eq!(&bytes[head.end..], b"{}");
    }

    #[test]
    fn an_answer_of_unknown_length_is_an_error() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert_eq!(
            Head::parse(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").unwrap().unwrap().body,
            0
        );
    }

    #[test]
    fn a_renewed_key_has_the_same_length() {
        let mut request = Request::post("/v1/batch", b"{}");
        let length = request.bytes.len();
        request.renew_key(3, 14);
        let text = String::from_utf8(request.bytes).unwrap();
        assert!(text.contains("Idempotency-Key: \"00000000000300000000000000000014\"\r\n"), "{text}");
        assert_eq!(text.len(), length);
    }
}
