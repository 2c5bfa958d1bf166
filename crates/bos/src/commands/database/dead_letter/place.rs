//! Dead letters by the names that `bos dead-letter list` prints.

use std::fmt;
use std::str::FromStr;

use contract::Topic;
use engine::consumer::CONSUMER;
use store::{DeadLetter, Lane, Store};

/// Where the message is: `topic/partition/offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) topic: Topic,
    pub(super) partition: i64,
    pub(super) offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let place = (|| {
            let topic = parts.next()?.parse().ok()?;
            let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(Self { topic, partition, offset })
        })();
        place.ok_or("TOPIC/PARTITION/OFFSET is expected, as `bos dead-letter list` prints it")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Place {
    /// The dead letter of this place, if there is one.
    pub(super) async fn find(self, store: &Store) -> Result<Option<DeadLetter>, store::Error> {
        let read = store.read(move |tx| {
            Box::pin(async move {
                tx.dead_letter(CONSUMER, self.topic.as_str(), self.partition, self.offset).await
            })
        });
        read.await
    }

    /// Forgets it; false when there is none.
    pub(super) async fn forget(self, store: &Store) -> Result<bool, store::Error> {
        let unit = store.unit(Lane::Caller, move |tx| {
            Box::pin(async move {
                tx.delete_dead_letter(CONSUMER, self.topic.as_str(), self.partition, self.offset).await
            })
        });
        unit.await
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_dead_letter_is_named_by_the_place_of_its_message() {
        let text = "huleedu.els.batch.phase.outcome.v1/3/4711";
        let place: Place = text.parse().unwrap();
        assert_eq!((place.partition, place.offset, place.to_string().as_str()), (3, 4711, text));
        for wrong in ["", "huleedu.els.batch.phase.outcome.v1/3", "a/b/c", "other.topic/1/2"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
