//! An HTTP client that reports the outcome of each request: answered, never sent, or unknown.
//!
//! Crate `client` retries and hides which request was lost, and the judges need every single outcome.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;
use testbed::http::{self, Head};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header `Idempotency-Replayed`.
    pub(crate) replayed: bool,
    /// The header `Date`.
    pub(crate) date: Option<DateTime<Utc>>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nothing was sent.
    Unsent,
    /// The request was sent, at least in part, and may have been executed.
    Unknown,
}

/// A client that asks several servers in turn, each over a connection that it keeps while it works.
pub(crate) struct Client {
    ends: Vec<End>,
    turn: usize,
}

/// A server, and the connection to it.
struct End {
    address: SocketAddr,
    connection: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let ends = addresses.into_iter().map(|address| End { address, connection: None });
        Self { ends: ends.collect(), turn: 0 }
    }

    /// Asks for a document.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer, Lost> {
        self.exchange(&http::get(path))
    }

    /// Sends a body under an Idempotency-Key.
    pub(crate) fn post(
        &mut self,
        path: &str,
        media_type: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Answer, Lost> {
        self.exchange(&http::post(path, media_type, key, body))
    }

    /// As [`Client::post`], and hangs up after the first bytes of the answer.
    pub(crate) fn post_and_hang_up(&mut self, path: &str, media_type: &str, key: &str, body: &[u8]) -> Lost {
        let Some(Ok(mut stream)) = self.next_end().map(|end| end.connect()) else { return Lost::Unsent };
        // The outcome stays unknown.
        let _ = stream
            .write_all(&http::post(path, media_type, key, body))
            .and_then(|()| stream.read(&mut [0; 20]));
        Lost::Unknown
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        let end = self.next_end().ok_or(Lost::Unsent)?;
        let mut stream = match end.connection.take() {
            Some(stream) => stream,
            None => end.connect().map_err(|_| Lost::Unsent)?,
        };
        stream.write_all(request).map_err(|_| Lost::Unknown)?;
        let answer = read_answer(&mut stream).map_err(|_| Lost::Unknown)?;
        end.connection = Some(stream);
        Ok(answer)
    }

    fn next_end(&mut self) -> Option<&mut End> {
        self.turn = self.turn.wrapping_add(1);
        let at = self.turn.checked_rem(self.ends.len())?;
        self.ends.get_mut(at)
    }
}

impl End {
    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    }
}

fn read_answer(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::with_capacity(8 * 1024);
    let mut chunk = [0; 8 * 1024];
    loop {
        if let Some(head) = Head::parse(&bytes)?
            && let Some(body) = head.body_in(&bytes)
        {
            let date = head.header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
            return Ok(Answer {
                status: head.status,
                replayed: head.header("idempotency-replayed") == Some("true"),
                date: date.map(|date| date.to_utc()),
                body: body.to_vec(),
            });
        }
        match stream.read(&mut chunk)? {
            0 => bail!("the connection ended within an answer"),
            read => bytes.extend(chunk.iter().take(read)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::TcpListener, thread};

    use super::*;

    /// A server of one connection that answers with these bytes and closes.
    fn answering(bytes: &'static [u8]) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new([listener.local_addr().unwrap()]);
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(bytes).unwrap();
        });
        client
    }

    #[test]
    fn a_truncated_answer_leaves_the_outcome_unknown() {
        let mut whole =
            answering(b"HTTP/1.1 202 Accepted\r\nIdempotency-Replayed: true\r\nContent-Length: 2\r\n\r\n{}");
        let answer = whole.post("/v1/batch", "application/json", "k", b"{}").unwrap();
        assert_eq!((answer.status, answer.replayed, answer.body.as_slice()), (202, true, &b"{}"[..]));
        for cut in [&b""[..], b"HTTP/1.1 202 Acc", b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{"] {
            assert!(matches!(answering(cut).get("/"), Err(Lost::Unknown)));
        }
    }

    #[test]
    fn a_request_without_a_listener_was_not_sent() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(Client::new([address]).get("/"), Err(Lost::Unsent)));
    }
}
