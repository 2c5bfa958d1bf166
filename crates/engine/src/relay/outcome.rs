//! What came of messages, in the database.

use std::sync::Arc;
use std::time::Duration;

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
    /// When it is tried again; none: it is set aside.
    again_after: Option<Duration>,
}

impl Trouble {
    /// It will never be taken.
    pub(super) fn refused(place: Place, code: &'static str) -> Self {
        Self { place, code, again_after: None }
    }

    /// It may be taken later.
    pub(super) fn failed(place: Place, code: &'static str, row: Option<Row>, clock: &dyn Clock) -> Self {
        let attempts = row.map_or(0, |row| row.attempts);
        let is_old = row.is_some_and(|row| clock.now() - row.created_at >= AGE);
        let pause = backoff(clock, Duration::from_secs(1), Duration::from_mins(1), attempts);
        Self { place, code, again_after: (attempts < ATTEMPTS || !is_old).then_some(pause) }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// Archives and deletes what was sent; postpones or parks what was not.
pub(super) async fn record(engine: &Engine, sent: &[Sent], troubles: &[Trouble]) -> Result<(), Error> {
    let rows: Arc<(Vec<Sent>, Vec<Trouble>)> = Arc::new((sent.to_vec(), troubles.to_vec()));
    for trouble in troubles.iter().filter(|trouble| trouble.again_after.is_none()) {
        tracing::error!(
            shard = trouble.place.0,
            row = trouble.place.1,
            code = trouble.code,
            "the bus will not take a message; it is parked and holds back its key: see `bos outbox pending`"
        );
    }
    engine
        .store
        .unit(Lane::Task, move |tx| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                let (sent, troubles) = &*rows;
                tx.outbox_sent(sent).await?;
                for Trouble { place: (shard, id), code, again_after } in troubles {
                    match again_after {
                        Some(pause) => {
                            let not_before = tx.now() + *pause;
                            tx.postpone_outbox(*shard, *id, not_before).await?;
                        }
                        None => tx.park_outbox(*shard, *id, code).await?,
                    }
                }
                Ok::<_, Error>(())
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ports::ManualClock;

    #[test]
    fn a_record_that_fails_is_set_aside_after_many_tries_and_a_long_time_only() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let clock = ManualClock::new(now);
        let row = |attempts, age: chrono::TimeDelta| Some(Row { attempts, created_at: now - age });
        let again = |row| Trouble::failed((0, 1), "odd", row, &clock).again_after.is_some();
        assert!(again(row(0, AGE * 2)));
        assert!(again(row(ATTEMPTS, AGE / 2)));
        assert!(!again(row(ATTEMPTS, AGE)));
        assert!(again(None));
    }
}
