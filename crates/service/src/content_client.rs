//! The Content Service over HTTP: the platform's contract, and no trust in who answers.
//!
//! No redirect is followed and no proxy asked; connecting, the whole call and the size of every reply are bounded. What the
//! service calls an id is taken for one only when it has an id's form.

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

/// Bytes of an answer to an upload: it holds one id.
const ANSWER_CAP: usize = 64 << 10;
/// Bytes of a text that is fetched.
const TEXT_CAP: usize = 8 << 20;
/// An id has at most this many characters.
const ID_CAP: usize = 128;

/// A client of one Content Service.
#[derive(Debug, Clone)]
pub struct ContentClient {
    http: Client,
    /// The collection's address; an id goes behind it.
    url: Url,
    concurrency: usize,
}

#[derive(Deserialize)]
struct Stored {
    storage_id: String,
}

impl ContentClient {
    /// A client of the service at `url`, which includes the path (`…/v1/content`). `connect` bounds connecting, `call` a whole
    /// call to the last byte of its answer.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(
        url: Url,
        concurrency: NonZeroU32,
        connect: Duration,
        call: Duration,
    ) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(connect)
            .timeout(call)
            .user_agent(concat!("bos/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let concurrency = usize::try_from(concurrency.get()).unwrap_or(1);
        Ok(Self { http, url, concurrency })
    }

    /// Stores a text in a span of its own, of which the service is told.
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
        // Only a URL that cannot have a path has none, and the configuration refuses those.
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
            let hopeless = locked(&turn).hopeless();
            let answer = match hopeless {
                Some(trouble) => Err(trouble),
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

/// How a turn of texts fares.
///
/// A service that is away is not asked for each of 500 texts, 10 s each: after as many failures as there are calls at a time,
/// and no answer at all, the rest of the turn is not sent.
struct Turn {
    bearable: usize,
    failures: usize,
    answers: usize,
    trouble: Option<ContentError>,
}

impl Turn {
    fn new(concurrency: usize) -> Self {
        // One bad text must not pass for a bad service, so a few are asked for in any case.
        Self { bearable: concurrency.max(4), failures: 0, answers: 0, trouble: None }
    }

    /// The trouble that every further text would meet.
    fn hopeless(&self) -> Option<ContentError> {
        if self.answers == 0 && self.failures >= self.bearable { self.trouble.clone() } else { None }
    }

    fn count(&mut self, answer: &Result<String, ContentError>) {
        match answer {
            Ok(_) | Err(ContentError::Refused { .. }) => self.answers += 1,
            Err(trouble @ ContentError::Unavailable { .. }) => {
                self.failures += 1;
                self.trouble = Some(trouble.clone());
            }
        }
    }
}

/// Counts are right whatever happened to who held the lock.
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

/// What a status other than the expected one means. Only what says "this text, never" is final.
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

/// Reads a reply up to a size; what is longer is no answer of a Content Service.
async fn capped(response: Response, cap: usize) -> Result<Bytes, ContentError> {
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
