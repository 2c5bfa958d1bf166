//! Writes the outcomes of sends to the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{Lane, Sent};

use super::{InFlight, RowId};
use crate::backoff::backoff;
use crate::error::Error;
use crate::ports::Clock;
use crate::road::Engine;

/// Attempts before a record that the bus does not accept is parked, if it is old enough.
const ATTEMPTS: u32 = 20;
/// The least age of a record that is parked for its attempts, so that a short fault of the bus parks nothing.
const LEAST_AGE: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// A message that the bus did not accept, for a reason that concerns this message only.
#[derive(Debug, Clone)]
pub(super) struct SendFailure {
    row: RowId,
    code: &'static str,
    /// The retry; `None`: the message is parked.
    retry: Option<Retry>,
}

/// The retry of a message. The message is parked instead once it is old and has been tried often.
#[derive(Debug, Clone, Copy)]
struct Retry {
    after: Duration,
    is_exhausted: bool,
    created_at: DateTime<Utc>,
}

impl SendFailure {
    /// A message that the bus will never accept.
    pub(super) fn permanent(row: RowId, code: &'static str) -> Self {
        Self { row, code, retry: None }
    }

    /// A message that is retried with back-off: 1 s, doubling, at most 1 min.
    pub(super) fn retried(row: RowId, code: &'static str, message: InFlight, clock: &dyn Clock) -> Self {
        let InFlight { attempts, created_at } = message;
        let after = backoff(clock, Duration::from_secs(1), Duration::from_mins(1), attempts);
        Self { row, code, retry: Some(Retry { after, is_exhausted: attempts >= ATTEMPTS, created_at }) }
    }

    /// The time of the retry by the database's clock; `None`: the message is parked.
    fn not_before(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let retry = self.retry.filter(|retry| !retry.is_exhausted || now - retry.created_at < LEAST_AGE)?;
        Some(now + retry.after)
    }

    pub(super) fn row(&self) -> RowId {
        self.row
    }
}

/// Archives and deletes the rows that were sent, and postpones or parks those that failed.
pub(super) async fn record(engine: &Engine, sent: &[Sent], failures: &[SendFailure]) -> Result<(), Error> {
    let rows: Arc<(Vec<Sent>, Vec<SendFailure>)> = Arc::new((sent.to_vec(), failures.to_vec()));
    let parked = engine
        .store
        .unit(Lane::Task, move |tx| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                let (sent, failures) = &*rows;
                tx.outbox_sent(sent).await?;
                let mut parked = Vec::new();
                for failure in failures {
                    let SendFailure { row: (shard, id), code, .. } = failure;
                    if let Some(not_before) = failure.not_before(tx.now()) {
                        tx.postpone_outbox(*shard, *id, not_before).await?;
                    } else {
                        tx.park_outbox(*shard, *id, code).await?;
                        parked.push((*shard, *id, *code));
                    }
                }
                Ok::<_, Error>(parked)
            })
        })
        .await?;
    for (shard, row, code) in parked {
        tracing::error!(
            shard,
            row,
            code,
            "the bus does not accept a message; it is parked and blocks later messages of its key; see `bos outbox pending`"
        );
    }
    Ok(())
}
