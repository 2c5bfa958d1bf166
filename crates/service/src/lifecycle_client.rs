//! The client of the Essay Lifecycle Service over HTTP, which only asks and does not trust the answers.

use std::time::Duration;

use async_trait::async_trait;
use contract::EssayStatuses;
use engine::ports::{LifecycleError, LifecycleStatus};
use reqwest::{Client, StatusCode, Url, redirect};
use uuid::Uuid;

use crate::content_client::capped;

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
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(call)
            .timeout(call)
            .user_agent(concat!("bos/", env!("CARGO_PKG_VERSION")))
            .build()?;
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
