//! The Content Service.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::traceparent::Traceparent;

/// An error of the Content Service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Unreachable, hanging, overloaded, or answering against its contract. Transient; retried indefinitely.
    #[error("the Content Service is unavailable ({code})")]
    Unavailable {
        /// A stable code: `content_unreachable`, `content_timeout`, `content_busy`, `content_nonsense`, …
        code: &'static str,
        /// The `Retry-After` of the answer.
        retry_after: Option<Duration>,
    },
    /// The text will never be stored, or there is no such text. Permanent.
    #[error("the Content Service refused the text permanently ({code})")]
    Refused {
        /// A stable code: `content_refused`, `text_not_found`, …
        code: &'static str,
    },
}

/// The Content Service. It stores immutable texts under ids that it chooses. It is not idempotent: each call makes a new id. The
/// caller validates the ids that it returns.
#[async_trait]
pub trait ContentStore: Debug + Send + Sync {
    /// Stores texts. Returns one result for each, in order.
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>>;

    /// Stores texts as [`ContentStore::store`] does, and passes the trace context of each to the service.
    async fn store_traced(
        &self,
        texts: Vec<(Bytes, Option<Traceparent>)>,
    ) -> Vec<Result<String, ContentError>> {
        self.store(texts.into_iter().map(|(text, _)| text).collect()).await
    }

    /// Returns the bytes of a stored text.
    ///
    /// # Errors
    /// `text_not_found` when there is no such text, or when the service is unavailable.
    async fn fetch(&self, id: &str) -> Result<Bytes, ContentError>;

    /// Returns the length in bytes of a stored text.
    ///
    /// # Errors
    /// `text_not_found` when there is no such text, or when the service is unavailable.
    async fn look_up(&self, id: &str) -> Result<u64, ContentError>;
}
