//! The HTTP client. It retries a request after a transient error. Every error text contains the next step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use getrandom::Error as NoRandomness;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::{Builder, Uuid};

use crate::documents::ProblemDocument;
use crate::failure::{self, Failure, Problem};

/// The time-out of connecting; chosen.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time-out between two reads; chosen, longer than the server's wait for `?wait=` (20 s by default).
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// How long an idle connection is kept; shorter than a server keeps it (10 s by default), so that a request does not meet a
/// connection that the server closes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The attempts of a request in total, while the errors are transient; chosen.
const MAX_ATTEMPTS: u32 = 5;
/// The first pause between two attempts, which doubles; chosen.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause, whatever `Retry-After` says; chosen.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type OnRetry = Arc<dyn Fn(&str) + Send + Sync>;

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: Url,
    authorization: Option<HeaderValue>,
    /// Called with the reason for a retry.
    on_retry: Option<OnRetry>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server.as_str()).finish_non_exhaustive()
    }
}

/// A successful answer, or 304.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    /// A client of the server at this URL, which may have a path before `/v1`.
    ///
    /// # Errors
    /// [`Failure::Address`] if it is not an http:// URL, or has a query or a fragment.
    pub fn new(server: &str) -> Result<Self, Failure> {
        let wrong = || Failure::Address(server.to_owned());
        let mut url = Url::parse(server).map_err(|_| wrong())?;
        if url.scheme() != "http" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("bos/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| wrong())?;
        Ok(Self { http, server: url, authorization: None, on_retry: None })
    }

    /// Calls `tell` with the reason when a request is retried for the first time.
    #[must_use]
    pub fn on_retry(self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { on_retry: Some(Arc::new(tell)), ..self }
    }

    /// Sends this token in every request; `None` if a header cannot carry it.
    pub fn with_token(self, token: &SecretString) -> Option<Self> {
        let token = token.expose_secret();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self { authorization: Some(value), ..self })
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    /// The URL of a relative path (`v1/batch`) with this query.
    pub fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        // A relative path always joins. If one did not, the server would answer the URL without it with 404.
        let mut url = self.server.join(path).unwrap_or_else(|_| self.server.clone());
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// The request failed after all retries, or was refused.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let url = self.url(path, query);
        self.answer(|| self.request(Method::GET, &url)).await?.json(self)
    }

    /// Gets a body as bytes.
    ///
    /// # Errors
    /// The request failed after all retries, or was refused.
    pub async fn get_bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes, Failure> {
        let url = self.url(path, query);
        Ok(self.answer(|| self.request(Method::GET, &url)).await?.body)
    }

    /// Gets a JSON document and its `ETag`, after waiting up to `wait` for a change; `None` if it still has this `etag`.
    ///
    /// # Errors
    /// The request failed after all retries, or was refused.
    pub async fn get_changed(
        &self,
        path: &str,
        etag: Option<&str>,
        wait: Duration,
    ) -> Result<Option<(Option<String>, Value)>, Failure> {
        let seconds = format!("{}s", wait.as_secs());
        let query: &[(&str, &str)] = if etag.is_some() { &[("wait", &seconds)] } else { &[] };
        let url = self.url(path, query);
        let answer = self.answer(|| {
            let request = self.request(Method::GET, &url);
            etag.into_iter().fold(request, |request, etag| request.header(IF_NONE_MATCH, etag))
        });
        let answer = answer.await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let etag = answer.headers.get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Some((etag, answer.json(self)?)))
    }

    /// Posts a JSON document with a new Idempotency-Key, so that a retry gets the stored answer and has no second effect.
    ///
    /// # Errors
    /// The request failed after all retries, or was refused.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        let key = format!("\"{}\"", random_id().map_err(|_| Failure::NoRandomness)?);
        let body = Bytes::from(serde_json::to_vec(body).map_err(|_| Failure::Unwritable)?);
        let url = self.url(path, &[]);
        let answer = self.answer(|| {
            let request = self.request(Method::POST, &url);
            request
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", &key)
                .body(body.clone())
        });
        answer.await?.json(self)
    }

    /// Posts a JSON document once, without retries, because this endpoint has no Idempotency-Key.
    ///
    /// # Errors
    /// The request failed, or was refused. After a lost answer it is unknown whether it had its effect.
    pub async fn post_once(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        let body = Bytes::from(serde_json::to_vec(body).map_err(|_| Failure::Unwritable)?);
        let request = self.request(Method::POST, &self.url(path, &[]));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        self.attempt(request).await.map_err(|(failure, _)| failure)?.json(self)
    }

    /// Deletes what is at a path, with retries, because a second DELETE has no further effect.
    ///
    /// # Errors
    /// The request failed after all retries, or was refused.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        let url = self.url(path, &[]);
        self.answer(|| self.request(Method::DELETE, &url)).await.map(drop)
    }

    async fn answer(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Failure> {
        let mut pause = FIRST_PAUSE;
        for rest in (0..MAX_ATTEMPTS).rev() {
            let (failure, asked_for) = match self.attempt(request()).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            // If the first attempt cannot connect, no server runs, and this is reported at once. A server that was there and
            // went away gets time to come back.
            let is_first = rest + 1 == MAX_ATTEMPTS;
            let is_worth_it = failure.is_transient() && !(is_first && failure.is_refused_connection());
            if rest == 0 || !is_worth_it {
                return Err(failure);
            }
            if let Some(tell) = self.on_retry.as_ref().filter(|_| is_first) {
                tell(&failure.brief());
            }
            tokio::time::sleep(asked_for.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
        Err(self.unreachable("no answer"))
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<Answer, (Failure, Option<Duration>)> {
        let lost = |error: reqwest::Error| (self.unreachable(failure::why(&error)), None);
        let response: Response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(lost)?;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(Answer { status, headers, body });
        }
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let failure = match serde_json::from_slice::<ProblemDocument<'static>>(&body) {
            Ok(document) => Failure::Problem(Box::new(Problem::new(document, &self.server))),
            Err(_) => self.stranger(status),
        };
        Err((failure, seconds.map(Duration::from_secs)))
    }

    fn unreachable(&self, why: &'static str) -> Failure {
        Failure::Unreachable { server: self.server.to_string(), why }
    }

    fn stranger(&self, status: StatusCode) -> Failure {
        Failure::Stranger { server: self.server.to_string(), status: status.as_u16() }
    }
}

impl Answer {
    fn json(&self, client: &Client) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| client.stranger(self.status))
    }
}

/// Converts a document to a type.
///
/// # Errors
/// [`Failure::OtherVersion`] if a field is missing or has another type.
pub fn read<T: DeserializeOwned>(document: Value) -> Result<T, Failure> {
    serde_json::from_value(document).map_err(|error| Failure::OtherVersion(error.to_string()))
}

fn random_id() -> Result<Uuid, NoRandomness> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn a_server_may_have_a_path() {
        for (server, expected) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/v1/batch?limit=5"),
            ("http://gateway/bos", "http://gateway/bos/v1/batch?limit=5"),
            ("http://gateway/bos/", "http://gateway/bos/v1/batch?limit=5"),
        ] {
            let client = Client::new(server).unwrap();
            assert_eq!(client.url("v1/batch", &[("limit", "5")]).as_str(), expected);
        }
    }

    #[test]
    fn an_address_that_is_not_an_http_url_is_refused() {
        for server in ["", "localhost:5000", "ftp://localhost", "http://localhost/?a=b"] {
            assert!(Client::new(server).is_err(), "{server}");
        }
    }
}
