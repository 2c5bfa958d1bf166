//! The client of the Essay Lifecycle Service over HTTP, which only asks and does not trust the answers.

use std::time::Duration;

use async_trait::async_trait;
use contract::EssayStatuses;
use engine::ports::{LifecycleError, LifecycleStatus};
use reqwest::{Client, StatusCode, Url};
use uuid::Uuid;

use crate::content_client::{capped, http_client};

/// The largest accepted answer, in bytes; chosen: the answer contains a few dozen numbers.
const ANSWER_CAP: usize = 64 << 10;

/// A client of one lifecycle service.
#[derive(Debug, Clone)]
pub struct LifecycleClient {
    http: Client,
    base: Url,
}

impl LifecycleClient {
    /// A client of the service at `base`. `call` bounds a whole call, from connecting to the last byte of the answer.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(base: Url, call: Duration) -> Result<Self, reqwest::Error> {
        let http = http_client(call, call)?;
        Ok(Self { http, base })
    }
}

#[async_trait]
impl LifecycleStatus for LifecycleClient {
    async fn statuses(&self, batch: Uuid) -> Result<EssayStatuses, LifecycleError> {
        const NONSENSE: LifecycleError = LifecycleError::Unavailable { code: "lifecycle_nonsense" };
        let mut url = self.base.clone();
        // Every http:// URL has path segments, and the configuration accepts no other.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "batches", &batch.to_string(), "status"]);
        }
        let response = self.http.get(url).send().await.map_err(|error| {
            let code = if error.is_timeout() { "lifecycle_timeout" } else { "lifecycle_unreachable" };
            LifecycleError::Unavailable { code }
        })?;
        match response.status() {
            StatusCode::OK => {
                let answer = capped(response, ANSWER_CAP).await.map_err(|_| NONSENSE)?;
                EssayStatuses::read(&answer).map_err(|_| NONSENSE)
            }
            StatusCode::NOT_FOUND => Err(LifecycleError::UnknownBatch),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(LifecycleError::Unavailable { code: "lifecycle_busy" })
            }
            _ => Err(NONSENSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a service that gives this answer to the first request; none: it says nothing. Returns the request line, too.
    async fn ask(answer: Option<String>) -> (Result<EssayStatuses, LifecycleError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/els", listener.local_addr().unwrap());
        let client = LifecycleClient::new(Url::parse(&base).unwrap(), Duration::from_millis(500)).unwrap();
        let (asked, served) = tokio::join!(client.statuses(Uuid::from_u128(7)), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            match answer {
                // The client closes the connection within an answer that is too long.
                Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                // The client gives up, and closes the connection.
                None => drop(stream.read(&mut [0; 1]).await),
            }
            let request = String::from_utf8_lossy(request.get(..read).unwrap_or_default()).into_owned();
            request.lines().next().unwrap_or_default().to_owned()
        });
        (asked, served)
    }

    fn http(status: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn the_numbers_of_essays_in_each_status_are_read_from_the_answer() {
        let (answer, request) = ask(Some(http("200 OK", r#"{"status_breakdown":{"nlp_success":3}}"#))).await;
        assert_eq!(answer, Ok([("nlp_success".to_owned(), 3)].into_iter().collect()));
        assert_eq!(request, "GET /els/v1/batches/00000000-0000-0000-0000-000000000007/status HTTP/1.1");
    }

    #[tokio::test]
    async fn every_other_answer_has_its_code() {
        let long = format!(r#"{{"status_breakdown":{{"x":1}},"more":"{}"}}"#, "x".repeat(ANSWER_CAP));
        let unavailable = |code| Err(LifecycleError::Unavailable { code });
        for (answer, expected) in [
            (
                Some(http("404 Not Found", r#"{"error":"Batch Not Found"}"#)),
                Err(LifecycleError::UnknownBatch),
            ),
            (Some(http("500 Internal Server Error", "")), unavailable("lifecycle_busy")),
            (Some(http("429 Too Many Requests", "")), unavailable("lifecycle_busy")),
            (Some(http("302 Found", "")), unavailable("lifecycle_nonsense")),
            (Some(http("200 OK", "<html>")), unavailable("lifecycle_nonsense")),
            (Some(http("200 OK", &long)), unavailable("lifecycle_nonsense")),
            (None, unavailable("lifecycle_timeout")),
        ] {
            assert_eq!(ask(answer.clone()).await.0, expected, "{answer:?}");
        }
    }
}
