//! The warning that requests outlive the receiver's deduplication window.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::Topic;
use store::PendingRow;

/// The age of a request at which the warning is given: ten minutes before the end of the window. Today's spell checker keeps the
/// ids of requests for single essays for an hour. If a request was sent, its acknowledgement was lost, and it is sent again after
/// that, the spell checker processes it twice.
const WARN_AGE: TimeDelta = TimeDelta::minutes(50);
/// The pause between two warnings.
const PERIOD: Duration = Duration::from_mins(10);

/// Warns while such requests wait.
#[derive(Debug, Default)]
pub(super) struct DedupWindowWarning {
    warned_at: Option<Duration>,
}

impl DedupWindowWarning {
    /// Checks messages that are about to be sent, and warns if any is old. `now` is compared with the age of the rows,
    /// `monotonic` with the time of the last warning.
    pub(super) fn check(&mut self, rows: &[PendingRow], now: DateTime<Utc>, monotonic: Duration) {
        let old = rows.iter().filter(|row| is_old_request(&row.message.topic, now - row.created_at)).count();
        if old == 0 || self.warned_at.is_some_and(|warned_at| monotonic < warned_at + PERIOD) {
            return;
        }
        self.warned_at = Some(monotonic);
        tracing::warn!(
            messages = old,
            "requests to the spell checker have waited for more than 50 minutes; its deduplication window is 60 minutes, and \
             after it a request that was sent before is processed twice; list them with `bos outbox pending`, remove one \
             with `bos outbox skip`"
        );
    }
}

fn is_old_request(topic: &str, age: TimeDelta) -> bool {
    age >= WARN_AGE && topic == Topic::EssaySpellcheckRequested.as_str()
}

#[cfg(test)]
mod tests {
    use store::OutboxRow;
    use uuid::Uuid;

    use super::*;

    fn row(topic: Topic, created_at: DateTime<Utc>) -> PendingRow {
        let message = OutboxRow {
            shard: 0,
            event_id: Uuid::nil(),
            ordering_key: String::new(),
            key_seq: 0,
            topic: topic.as_str().to_owned(),
            kafka_key: String::new(),
            payload: Vec::new(),
            headers: String::new(),
        };
        PendingRow { id: 1, message, attempts: 0, created_at }
    }

    #[test]
    fn a_request_that_waits_for_fifty_minutes_is_warned_of_every_ten_minutes_and_nothing_else_is() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let (old, young) = (now - WARN_AGE, now - TimeDelta::minutes(49));
        let mut warning = DedupWindowWarning::default();
        warning.check(&[row(Topic::EssaySpellcheckRequested, young)], now, Duration::ZERO);
        warning.check(&[row(Topic::SpellcheckInitiate, old)], now, Duration::ZERO);
        assert_eq!(warning.warned_at, None);
        let requests = [row(Topic::EssaySpellcheckRequested, old)];
        warning.check(&requests, now, Duration::from_mins(1));
        warning.check(&requests, now, Duration::from_mins(2));
        assert_eq!(warning.warned_at, Some(Duration::from_mins(1)));
        warning.check(&requests, now, Duration::from_mins(11));
        assert_eq!(warning.warned_at, Some(Duration::from_mins(11)));
    }
}
