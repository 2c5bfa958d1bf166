//! The loop of every companion: fetch records, process them, commit the offset.
//!
//! A turn either succeeds as a whole or is repeated from the last committed offset. Event ids are derived
//! from the cause, so a repeated turn publishes the same events again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Clock, ContentError, Delivery, Record, Subscription};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The first back-off after an error; it doubles with each further error (chosen).
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest back-off (chosen).
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A consumer group and its topics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    /// The name of the consumer group.
    pub(crate) consumer: &'static str,
    pub(crate) topics: &'static [Topic],
    /// Records per turn, at most.
    pub(crate) limit: usize,
}

/// The bus and the clock of a companion.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Bus {
    pub(crate) async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        if records.is_empty() { Ok(()) } else { self.broker.publish(records).await }
    }
}

/// The work of a companion.
#[async_trait]
pub(crate) trait Work: Send {
    /// Processes records, in their order. After an error they are delivered again.
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), TurnError>;

    /// Drops state that is only in memory, after a turn has failed.
    fn clear_cache(&mut self) {}
}

/// A transient error of a turn. The turn is repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Database(#[from] Error),
}

impl TurnError {
    /// The delay that the Content Service asked for.
    fn retry_after(&self) -> Duration {
        match self {
            Self::Content(ContentError::Unavailable { retry_after: Some(time), .. }) => *time,
            Self::Content(_) | Self::Broker(_) | Self::Database(_) => Duration::ZERO,
        }
    }
}

/// Runs until `stop`. A turn that is interrupted then is repeated after the next start.
pub(crate) async fn run(reader: Reader, mut work: impl Work, bus: Bus, stop: CancellationToken) {
    let endless = async {
        let mut backoff = Backoff { consumer: reader.consumer, pause: None };
        loop {
            let Err(error) = consume(reader, &mut work, &bus, &mut backoff).await;
            bus.clock.sleep(backoff.after(&error)).await;
        }
    };
    tokio::select! {
        never = endless => never,
        () = stop.cancelled() => {}
    }
}

/// Subscribes and processes records, until the subscription itself fails.
async fn consume(
    reader: Reader,
    work: &mut impl Work,
    bus: &Bus,
    backoff: &mut Backoff,
) -> Result<Infallible, TurnError> {
    let mut subscription = bus.broker.subscribe(reader.consumer, reader.topics.to_vec()).await?;
    loop {
        match turn(reader, work, subscription.as_mut()).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                work.clear_cache();
                bus.clock.sleep(backoff.after(&error)).await;
                subscription.rewind().await?;
            }
        }
    }
}

async fn turn(
    reader: Reader,
    work: &mut impl Work,
    subscription: &mut dyn Subscription,
) -> Result<(), TurnError> {
    let deliveries = subscription.next(reader.limit).await?;
    work.turn(deliveries).await?;
    Ok(subscription.commit().await?)
}

/// The back-off of consecutive errors; it logs the first error and the recovery.
struct Backoff {
    consumer: &'static str,
    pause: Option<Duration>,
}

impl Backoff {
    fn after(&mut self, error: &TurnError) -> Duration {
        let pause = if let Some(pause) = self.pause {
            (pause * 2).min(LONGEST_PAUSE)
        } else {
            let error: &dyn std::error::Error = error;
            tracing::warn!(companion = self.consumer, error, "a companion failed; retrying");
            FIRST_PAUSE
        };
        self.pause = Some(pause);
        pause.max(error.retry_after().min(LONGEST_PAUSE))
    }

    fn reset(&mut self) {
        if self.pause.take().is_some() {
            tracing::info!(companion = self.consumer, "a companion has recovered");
        }
    }
}

#[cfg(test)]
mod tests;
