//! Failures of the host and ends of the process: acknowledged work is there afterwards, and the service continues.

mod connections;
mod disk;
#[cfg(target_os = "linux")]
mod failing_disk;
mod folder;
mod log;
mod overload;
mod stopping;
pub(crate) mod vanishing;

use futures::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use serde_json::Value;
use tokio::time::timeout;

use crate::program::{PATIENCE, Server, plain_batch};

/// An answer of a server.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) asks_to_wait: bool,
    pub(crate) is_replayed: bool,
    pub(crate) body: Value,
}

/// A client of one server, without connections kept from one request to the next. Crate `client` retries and does not show
/// the status of an answer, so the tests of refusals and losses send their requests themselves.
pub(crate) struct Client {
    http: reqwest::Client,
    address: String,
}

impl Client {
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(&server.address)
    }

    pub(crate) fn at(address: &str) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { http, address: address.to_owned() }
    }

    pub(crate) async fn submit(&self, batch: &Value) -> Answer {
        self.submit_with(&[], batch).await
    }

    /// Under an Idempotency-Key.
    pub(crate) async fn submit_under(&self, key: &str, batch: &Value) -> Answer {
        self.submit_with(&[("idempotency-key", key)], batch).await
    }

    /// With these headers.
    pub(crate) async fn submit_with(&self, headers: &[(&str, &str)], batch: &Value) -> Answer {
        let request = self.http.post(format!("{}/v1/batch", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.header(CONTENT_TYPE, "application/json").body(batch.to_string());
        answer(request.send().await.unwrap()).await
    }

    /// Submits a small batch, which must be acknowledged; its id.
    pub(crate) async fn accepted(&self, name: &str) -> String {
        let answer = self.submit(&plain_batch(name, 2)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        id_of(&answer.body)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.address)).send().await.unwrap()).await
    }

    /// The JSON documents at a path, one in each line.
    #[cfg(feature = "kafka")]
    pub(crate) async fn lines(&self, path: &str) -> Vec<Value> {
        let answer = self.http.get(format!("{}{path}", self.address)).send().await.unwrap();
        answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks until readiness names this trouble of a neighbour, or none. A connection that a busy machine loses is made again.
    pub(crate) async fn until_degraded_by(&self, code: Option<&str>) {
        let named = async {
            loop {
                let asked = self.http.get(format!("{}/readyz", self.address)).send().await;
                if let Ok(response) = asked
                    && answer(response).await.body["degraded"][0]["code"].as_str() == code
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let named = timeout(PATIENCE, named).await;
        assert!(named.is_ok(), "/readyz never shows {code:?}");
    }

    /// Asserts that all of these batches exist.
    pub(crate) async fn shows(&self, batches: &[String]) {
        let seen = futures::stream::iter(batches)
            .map(async |batch| (batch, self.get(&format!("/v1/batch/{batch}")).await))
            .buffer_unordered(16);
        seen.for_each(async |(batch, answer)| {
            assert_eq!(answer.status, 200, "{batch} was acknowledged: {}", answer.body);
        })
        .await;
    }

    /// Waits until the batch has this status; the whole of its status document then.
    pub(crate) async fn until(&self, batch: &str, status: &str) -> Value {
        self.until_so(batch, |seen| seen["status"] == status).await
    }

    /// Waits until the batch has ended; the whole of its status document then.
    #[cfg(feature = "otlp")]
    pub(crate) async fn ended(&self, batch: &str) -> Value {
        self.until_so(batch, |seen| !seen["ended_at"].is_null()).await
    }

    async fn until_so(&self, batch: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let reached = async {
            let url = format!("{}/v1/batch/{batch}/status?wait=5s", self.address);
            // No revision has this tag, so the first answer comes immediately and the others after a change.
            let mut seen = HeaderValue::from_static("\"none\"");
            while !is_so(&last) {
                let change = self.http.get(&url).header(IF_NONE_MATCH, seen).send().await.unwrap();
                seen = change.headers()[ETAG].clone();
                if change.status() == StatusCode::OK {
                    last = serde_json::from_slice(&change.bytes().await.unwrap()).unwrap();
                }
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "{batch} stays at {last}");
        last
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status().as_u16(),
        is_replayed: response.headers().contains_key("idempotency-replayed"),
        asks_to_wait: response.headers().contains_key(RETRY_AFTER),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
    }
}

pub(crate) fn id_of(accepted: &Value) -> String {
    accepted["batch_id"].as_str().unwrap().to_owned()
}
