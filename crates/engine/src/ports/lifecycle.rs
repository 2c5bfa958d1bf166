//! The lifecycle service, where it can be asked. Everything else reaches it over the bus.

use std::fmt::Debug;

use async_trait::async_trait;
use contract::EssayStatuses;
use uuid::Uuid;

/// Why the lifecycle service gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// Unreachable, hanging, or answering against its contract. Transient.
    #[error("the lifecycle service is unavailable ({code})")]
    Unavailable {
        /// A stable code: `lifecycle_unreachable`, `lifecycle_timeout`, `lifecycle_busy`, `lifecycle_nonsense`.
        code: &'static str,
    },
    /// It has no such batch.
    #[error("the lifecycle service has no such batch")]
    UnknownBatch,
}

/// The lifecycle service's view of a batch.
#[async_trait]
pub trait LifecycleStatus: Debug + Send + Sync {
    /// The number of essays of a batch in each status.
    ///
    /// # Errors
    /// The service gives no answer, or does not know the batch.
    async fn statuses(&self, batch: Uuid) -> Result<EssayStatuses, LifecycleError>;
}
