//! What came of messages, in the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::{Lane, Sent};

use super::{Place, Row};
use crate::backoff::backoff;
use crate::ports::Clock;
use crate::{Engine, Error};

/// A record that the bus does not take for a reason of its own is set aside after so many tries, and not before it is so old:
/// a short trouble must not set aside anything.
const ATTEMPTS: u32 = 20;
const AGE: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// A message that the bus did not take, for a reason of the message's own.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    place: Place,
    code: &'static str,
    /// How it is tried again; none: it is set aside.
    again: Option<Again>,
}

/// How a message is tried again, as long as it is young or has not been tried often.
#[derive(Debug, Clone, Copy)]
struct Again {
    after: Duration,
    was_tried_often: bool,
    created_at: DateTime<Utc>,
}

impl Trouble {
    /// It will never be taken.
    pub(super) fn refused(place: Place, code: &'static str) -> Self {
        Self { place, code, again: None }
    }

    /// It may be taken later.
    pub(super) fn failed(place: Place, code: &'static str, row: Row, clock: &dyn Clock) -> Self {
        let Row { attempts, created_at } = row;
        let after = backoff(clock, Duration::from_secs(1), Duration::from_mins(1), attempts);
        Self { place, code, again: Some(Again { after, was_tried_often: attempts >= ATTEMPTS, created_at }) }
    }

    /// When it is tried again, if it is now; by the database's clock, like its age.
    fn not_before(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let again = self.again.filter(|again| !again.was_tried_often || now - again.created_at < AGE)?;
        Some(now + again.after)
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// Archives and deletes what was sent; postpones or parks what was not.
pub(super) async fn record(engine: &Engine, sent: &[Sent], troubles: &[Trouble]) -> Result<(), Error> {
    let rows: Arc<(Vec<Sent>, Vec<Trouble>)> = Arc::new((sent.to_vec(), troubles.to_vec()));
    let parked = engine
        .store
        .unit(Lane::Task, move |tx| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                let (sent, troubles) = &*rows;
                tx.outbox_sent(sent).await?;
                let mut parked = Vec::new();
                for trouble in troubles {
                    let Trouble { place: (shard, id), code, .. } = trouble;
                    if let Some(not_before) = trouble.not_before(tx.now()) {
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
            "the bus will not take a message; it is parked and holds back its key: see `bos outbox pending`"
        );
    }
    Ok(())
}
