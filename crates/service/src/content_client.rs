//! The client of the Content Service over HTTP, which does not trust the answers.
//!
//! It follows no redirects and uses no proxy. Connecting, the whole call and the size of every answer are bounded. An id in an
//! answer is accepted only if it has the form of an id.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use engine::ports::{ContentError, ContentStore};
use engine::spans::{self, Span};
use engine::{Traceparent, trace_span};
use futures::StreamExt as _;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;

/// The largest accepted answer to an upload, in bytes; chosen: the answer contains one id.
const ANSWER_CAP: usize = 64 << 10;
/// The largest text that is fetched, in bytes; chosen, above every useful `max_text_size`.
const TEXT_CAP: usize = 8 << 20;
/// The longest accepted id, in characters; chosen.
const ID_CAP: usize = 128;

/// A client of one Content Service.
#[derive(Debug, Clone)]
pub struct ContentClient {
    http: Client,
    /// The URL of the collection; the path of a text is this and its id.
    url: Url,
    concurrency: usize,
}

#[derive(Deserialize)]
struct Stored {
    storage_id: String,
}

impl ContentClient {
    /// A client of the service at `url`, which includes the path (`…/v1/content`).
    ///
    /// `concurrency` bounds the calls at the same time, `connect` the time to connect, `call` a whole call to the last byte of its
    /// answer.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(
        url: Url,
        concurrency: NonZeroU32,
        connect: Duration,
        call: Duration,
    ) -> Result<Self, reqwest::Error> {
        let http = http_client(connect, call)?;
        let concurrency = usize::try_from(concurrency.get()).unwrap_or(1);
        Ok(Self { http, url, concurrency })
    }

    /// Stores a text in a span of its own, and sends the span's context to the service.
    async fn store_one(&self, text: Bytes, place: Option<Traceparent>) -> Result<String, ContentError> {
        let span = spans::child_of(place).map(|at| {
            trace_span!(at, place, "client", "POST";
                http.request.method = "POST",
                http.response.status_code = tracing::field::Empty,
                server.address = self.url.host_str(),
                server.port = self.url.port_or_known_default())
        });
        let stored = self.upload(text, span.as_ref().map(Span::context).or(place), span.as_ref()).await;
        if let (Some(span), Err(ContentError::Unavailable { code, .. } | ContentError::Refused { code })) =
            (&span, &stored)
        {
            span.record_error(code);
        }
        stored
    }

    async fn upload(
        &self,
        text: Bytes,
        place: Option<Traceparent>,
        span: Option<&Span>,
    ) -> Result<String, ContentError> {
        let mut sent =
            self.http.post(self.url.clone()).header("content-type", "application/octet-stream").body(text);
        if let Some(place) = place {
            sent = sent.header(Traceparent::HEADER, place.to_string());
        }
        let response = sent.send().await.map_err(unreachable)?;
        if let Some(span) = span {
            span.record("http.response.status_code", response.status().as_u16());
        }
        if response.status() != StatusCode::CREATED {
            return Err(refusal(&response));
        }
        let answer = capped(response, ANSWER_CAP).await?;
        let Stored { storage_id } = serde_json::from_slice(&answer).map_err(|_| nonsense())?;
        if is_id(&storage_id) { Ok(storage_id) } else { Err(nonsense()) }
    }

    async fn get(&self, id: &str) -> Result<Bytes, ContentError> {
        if !is_id(id) {
            return Err(ContentError::Refused { code: "text_not_found" });
        }
        let mut url = self.url.clone();
        // Every http:// URL has path segments, and the configuration accepts no other.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(id);
        }
        let response = self.http.get(url).send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => capped(response, TEXT_CAP).await,
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
                Err(ContentError::Refused { code: "text_not_found" })
            }
            _ => Err(refusal(&response)),
        }
    }
}

#[async_trait]
impl ContentStore for ContentClient {
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        self.store_traced(texts.into_iter().map(|text| (text, None)).collect()).await
    }

    async fn store_traced(
        &self,
        texts: Vec<(Bytes, Option<Traceparent>)>,
    ) -> Vec<Result<String, ContentError>> {
        let turn = Mutex::new(Turn::new(self.concurrency));
        let one = async |(text, place)| {
            let outage = locked(&turn).outage();
            let answer = match outage {
                Some(error) => Err(error),
                None => self.store_one(text, place).await,
            };
            locked(&turn).count(&answer);
            answer
        };
        futures::stream::iter(texts.into_iter().map(one)).buffered(self.concurrency).collect().await
    }

    async fn fetch(&self, id: &str) -> Result<Bytes, ContentError> {
        self.get(id).await
    }

    async fn look_up(&self, id: &str) -> Result<u64, ContentError> {
        self.get(id).await.map(|text| text.len() as u64)
    }
}

/// The results of one turn of texts, to detect an outage.
///
/// During an outage each of 500 texts would wait for its time-out (10 s). So after as many failures as there are calls at the
/// same time, and no answer at all, the rest of the turn is not sent.
struct Turn {
    max_failures: usize,
    failures: usize,
    answers: usize,
    last_error: Option<ContentError>,
}

impl Turn {
    fn new(concurrency: usize) -> Self {
        // At least 4, so that one bad text does not look like an outage.
        Self { max_failures: concurrency.max(4), failures: 0, answers: 0, last_error: None }
    }

    /// The error that every further text of this turn would get; `None` while there is no sign of an outage.
    fn outage(&self) -> Option<ContentError> {
        if self.answers == 0 && self.failures >= self.max_failures { self.last_error.clone() } else { None }
    }

    fn count(&mut self, answer: &Result<String, ContentError>) {
        match answer {
            Ok(_) | Err(ContentError::Refused { .. }) => self.answers += 1,
            Err(error @ ContentError::Unavailable { .. }) => {
                self.failures += 1;
                self.last_error = Some(error.clone());
            }
        }
    }
}

/// Locks the counts, which are valid even if a holder of the lock panicked.
fn locked(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=ID_CAP).contains(&text.len()) && text.bytes().all(fits)
}

const fn nonsense() -> ContentError {
    ContentError::Unavailable { code: "content_nonsense", retry_after: None }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn unreachable(error: reqwest::Error) -> ContentError {
    let code = if error.is_timeout() { "content_timeout" } else { "content_unreachable" };
    ContentError::Unavailable { code, retry_after: None }
}

/// The error for a status other than the expected one. Only a status that refuses this text for ever is [`ContentError::Refused`].
fn refusal(response: &Response) -> ContentError {
    let status = response.status();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let later = |code| ContentError::Unavailable { code, retry_after };
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => ContentError::Refused { code: "content_refused" },
        StatusCode::TOO_MANY_REQUESTS => later("content_busy"),
        _ if status.is_server_error() => later("content_busy"),
        _ if status.is_redirection() => later("content_redirects"),
        _ => later("content_nonsense"),
    }
}

/// An HTTP client for a neighbour: it follows no redirects, uses no proxy, and bounds connecting and the whole call.
///
/// # Errors
/// The HTTP client cannot be set up.
pub(crate) fn http_client(connect: Duration, call: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(connect)
        .timeout(call)
        .user_agent(concat!("bos/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Reads an answer of at most `cap` bytes; a longer one is not from a Content Service.
pub(crate) async fn capped(response: Response, cap: usize) -> Result<Bytes, ContentError> {
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(unreachable)?;
        if body.len() + chunk.len() > cap {
            return Err(nonsense());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
