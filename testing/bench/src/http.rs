//! An HTTP client that uses little processor time, because it shares the machine with the measured service.
//!
//! Requests are bytes that are made in advance. Of an answer it reads the status, two headers, and the body of the length in
//! `Content-Length`.

use std::{net::SocketAddr, ops::Range};

use anyhow::{Context, Result, ensure};
use testbed::http::{self, Head};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The placeholder of the Idempotency-Key until [`Request::renew_key`] sets one.
const NO_KEY: &str = "00000000000000000000000000000000";

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
        Self { bytes: http::get(path), key: None }
    }

    /// A GET request with `If-None-Match`.
    pub(crate) fn get_unless(path: &str, etag: &str) -> Self {
        Self { bytes: http::get_unless(path, etag), key: None }
    }

    /// A POST request with a JSON body and an Idempotency-Key, which [`Request::renew_key`] sets.
    pub(crate) fn post(path: &str, body: &[u8]) -> Self {
        let bytes = http::post(path, "application/json", NO_KEY, body);
        let key = bytes.windows(NO_KEY.len()).position(|part| part == NO_KEY.as_bytes());
        Self { bytes, key: key.map(|start| start..start + NO_KEY.len()) }
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
        let (status, etag, body) = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service closed the connection");
            if let Some(head) = Head::parse(&self.buffer)? {
                let etag = head.header("etag").map(str::to_owned);
                break (head.status, etag, head.begins..head.begins + head.length);
            }
        };
        while self.buffer.len() < body.end {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service closed the connection");
        }
        Ok(Answer { status, etag, body: self.buffer.get(body).unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
