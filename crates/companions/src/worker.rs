//! The loop that every companion runs: take what the bus has, deal with it, say that it is dealt with.
//!
//! A turn either succeeds as a whole or is done again from the last commit, so whatever a companion publishes has an id that
//! follows from its cause: what goes out twice is the same event.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Clock, ContentError, Delivery, Record, Subscription};
use tokio_util::sync::CancellationToken;

use crate::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who reads what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    /// The name of its consumer group.
    pub(crate) consumer: &'static str,
    pub(crate) topics: &'static [Topic],
    /// The most records of one turn.
    pub(crate) limit: usize,
}

/// What every companion is given.
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

/// What a companion does with its records.
#[async_trait]
pub(crate) trait Work: Send {
    /// Deals with records, in their order; after an error they come again.
    async fn turn(&mut self, deliveries: Vec<Delivery>) -> Result<(), Trouble>;

    /// Drops what is only remembered: a turn has failed somewhere on its way.
    fn forget(&mut self) {}
}

/// Why a turn could not be done now. None of these is the records' fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Database(#[from] Error),
}

impl Trouble {
    /// How long the neighbour in trouble asked to be left alone.
    fn retry_after(&self) -> Duration {
        match self {
            Self::Content(ContentError::Unavailable { retry_after: Some(time), .. }) => *time,
            Self::Content(_) | Self::Broker(_) | Self::Database(_) => Duration::ZERO,
        }
    }
}

/// Works until `stop`. What is under way then is left: it comes again after the next start.
pub(crate) async fn run(reader: Reader, mut work: impl Work, bus: Bus, stop: CancellationToken) {
    let endless = async {
        let mut troubles = Troubles { consumer: reader.consumer, pause: None };
        loop {
            let Err(trouble) = follow(reader, &mut work, &bus, &mut troubles).await;
            bus.clock.sleep(troubles.pause_after(&trouble)).await;
        }
    };
    tokio::select! {
        never = endless => never,
        () = stop.cancelled() => {}
    }
}

/// Reads and works; ends when the subscription itself is in trouble.
async fn follow(
    reader: Reader,
    work: &mut impl Work,
    bus: &Bus,
    troubles: &mut Troubles,
) -> Result<Infallible, Trouble> {
    let mut subscription = bus.broker.subscribe(reader.consumer, reader.topics.to_vec()).await?;
    loop {
        match turn(reader, work, subscription.as_mut()).await {
            Ok(()) => troubles.over(),
            Err(trouble) => {
                work.forget();
                bus.clock.sleep(troubles.pause_after(&trouble)).await;
                subscription.rewind().await?;
            }
        }
    }
}

async fn turn(
    reader: Reader,
    work: &mut impl Work,
    subscription: &mut dyn Subscription,
) -> Result<(), Trouble> {
    let deliveries = subscription.next(reader.limit).await?;
    work.turn(deliveries).await?;
    Ok(subscription.commit().await?)
}

/// Trouble in a row: said once when it begins and once when it is over.
struct Troubles {
    consumer: &'static str,
    pause: Option<Duration>,
}

impl Troubles {
    fn pause_after(&mut self, trouble: &Trouble) -> Duration {
        let pause = if let Some(pause) = self.pause {
            (pause * 2).min(LONGEST_PAUSE)
        } else {
            let error: &dyn std::error::Error = trouble;
            tracing::warn!(companion = self.consumer, error, "a companion is held up; it tries again");
            FIRST_PAUSE
        };
        self.pause = Some(pause);
        pause.max(trouble.retry_after().min(LONGEST_PAUSE))
    }

    fn over(&mut self) {
        if self.pause.take().is_some() {
            tracing::info!(companion = self.consumer, "a companion works again");
        }
    }
}

#[cfg(test)]
mod tests;
