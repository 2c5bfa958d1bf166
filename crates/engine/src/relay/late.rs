//! Requests that wait so long that their reader may have forgotten that it has had them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::Topic;
use store::PendingRow;

/// Today's spell checker remembers the id of a single essay's request for an hour. One that was sent, and whose acknowledgement
/// was lost, is done twice when it is sent again after that.
const FORGOTTEN_SOON: TimeDelta = TimeDelta::minutes(50);
/// How often it is said while it lasts.
const PERIOD: Duration = Duration::from_mins(10);

/// Says that such requests wait.
#[derive(Debug, Default)]
pub(super) struct Late {
    said_at: Option<Duration>,
}

impl Late {
    /// Looks at what is about to be sent; `monotonic` is the time for the pause between two warnings.
    pub(super) fn look(&mut self, rows: &[PendingRow], now: DateTime<Utc>, monotonic: Duration) {
        let late = rows.iter().filter(|row| is_late(&row.message.topic, now - row.created_at)).count();
        if late == 0 || self.said_at.is_some_and(|said_at| monotonic < said_at + PERIOD) {
            return;
        }
        self.said_at = Some(monotonic);
        tracing::warn!(
            messages = late,
            "requests to the spell checker have waited for more than 50 minutes: of those that were sent before, it may soon \
             have forgotten the ids, and do them again; `bos outbox pending` lists them, `bos outbox skip` takes one away"
        );
    }
}

fn is_late(topic: &str, age: TimeDelta) -> bool {
    age >= FORGOTTEN_SOON && topic == Topic::EssaySpellcheckRequested.as_str()
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
    fn a_request_that_waits_for_fifty_minutes_is_said_once_in_a_while_and_nothing_else_is() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let (old, young) = (now - FORGOTTEN_SOON, now - TimeDelta::minutes(49));
        let mut late = Late::default();
        late.look(&[row(Topic::EssaySpellcheckRequested, young)], now, Duration::ZERO);
        late.look(&[row(Topic::SpellcheckInitiate, old)], now, Duration::ZERO);
        assert_eq!(late.said_at, None);
        let requests = [row(Topic::EssaySpellcheckRequested, old)];
        late.look(&requests, now, Duration::from_mins(1));
        late.look(&requests, now, Duration::from_mins(2));
        assert_eq!(late.said_at, Some(Duration::from_mins(1)));
        late.look(&requests, now, Duration::from_mins(11));
        assert_eq!(late.said_at, Some(Duration::from_mins(11)));
    }
}
