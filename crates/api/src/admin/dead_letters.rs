//! Dead letters: messages that the consumer could not process.

use std::fmt;
use std::str::FromStr;

use client::documents::{
    DeadLetterCounts, DeadLetterDetail, DeadLetterList, DeadLetterSummary, MessagePosition, ReplayOutcome,
};
use engine::consumer::{self, CONSUMER};
use engine::ports::{Broker, BrokerError, Delivery, RecordPosition};
use engine::{Applied, Disposition, Engine};
use store::{DeadLetter, DeadLetterPlace, Lane, QueueDepth, Store};

use super::BadCursor;
use super::record::record;
use crate::paging;

fn position_of(letter: &DeadLetter) -> MessagePosition {
    MessagePosition { topic: letter.topic.clone(), partition: letter.partition, offset: letter.offset }
}

fn summary(letter: DeadLetter) -> DeadLetterSummary {
    DeadLetterSummary {
        id: position_of(&letter).to_string(),
        error_code: letter.error_code,
        set_aside_at: letter.at,
        event_id: letter.event_id,
        batch_id: letter.batch_id.map(domain::BatchId::as_uuid),
        after_revision: letter.after_revision,
    }
}

/// The cursor of the list: the place of the last dead letter of a page, written `MICROSECONDS/CONSUMER/TOPIC/PARTITION/OFFSET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCursor(DeadLetterPlace);

impl FromStr for DeadLetterCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let place = || {
            let (at, rest) = text.split_once('/')?;
            let (consumer, position) = rest.split_once('/')?;
            let MessagePosition { topic, partition, offset } = position.parse().ok()?;
            let at = paging::cursor_time(at)?;
            Some(DeadLetterPlace { at, consumer: consumer.to_owned(), topic, partition, offset })
        };
        // No stored name has a control character, and PostgreSQL refuses U+0000 in a query.
        place().filter(|_| !text.chars().any(char::is_control)).map(Self).ok_or(BadCursor)
    }
}

impl fmt::Display for DeadLetterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeadLetterPlace { at, consumer, topic, partition, offset } = &self.0;
        write!(f, "{}/{consumer}/{topic}/{partition}/{offset}", at.timestamp_micros())
    }
}

impl DeadLetterCursor {
    fn after(letter: &DeadLetter) -> Self {
        let DeadLetter { at, consumer, topic, partition, offset, .. } = letter;
        let (consumer, topic) = (consumer.clone(), topic.clone());
        Self(DeadLetterPlace { at: *at, consumer, topic, partition: *partition, offset: *offset })
    }
}

/// A page of dead letters, latest first: at most `limit` after a cursor; without one, from the latest. With the number of all.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    after: Option<DeadLetterCursor>,
    limit: u32,
) -> Result<DeadLetterList, store::Error> {
    let after = after.map(|cursor| cursor.0);
    let read = store.read(move |tx| {
        Box::pin(async move { Ok((tx.dead_letters(after, limit + 1).await?, tx.dead_letter_depth().await?)) })
    });
    let (letters, QueueDepth { rows, oldest_at }) = read.await?;
    let page = paging::page(letters, limit, |last| DeadLetterCursor::after(last).to_string());
    Ok(DeadLetterList { page: paging::map(page, summary), depth: DeadLetterCounts { rows, oldest_at } })
}

/// Finds the dead letter of the message at this position.
///
/// # Errors
/// When the database does not answer.
pub async fn find(store: &Store, position: &MessagePosition) -> Result<Option<DeadLetter>, store::Error> {
    let MessagePosition { topic, partition, offset } = position.clone();
    let read = store
        .read(move |tx| Box::pin(async move { tx.dead_letter(CONSUMER, &topic, partition, offset).await }));
    read.await
}

/// Deletes the dead letter of the message at this position. Returns false when there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn delete(store: &Store, position: &MessagePosition) -> Result<bool, store::Error> {
    let position = position.clone();
    let unit = store.unit(Lane::Caller, move |tx| {
        let MessagePosition { topic, partition, offset } = position.clone();
        Box::pin(async move { tx.delete_dead_letter(CONSUMER, &topic, partition, offset).await })
    });
    unit.await
}

/// Reads the message at this position. Returns `None` when the bus no longer has it.
///
/// # Errors
/// When the bus does not answer.
pub async fn fetch(broker: &dyn Broker, position: &MessagePosition) -> Result<Option<Delivery>, BrokerError> {
    let Ok(topic) = position.topic.parse() else { return Ok(None) };
    let record = RecordPosition { partition: position.partition, offset: position.offset };
    Ok(broker.fetch(topic, vec![record]).await?.pop())
}

/// Describes a dead letter and the message at its position, if the bus still has it.
pub fn detail(letter: DeadLetter, delivery: Option<&Delivery>) -> DeadLetterDetail {
    let digits = |text: String, byte: &u8| text + &format!("{byte:02x}");
    DeadLetterDetail {
        id: position_of(&letter).to_string(),
        consumer: letter.consumer,
        error_code: letter.error_code,
        set_aside_at: letter.at,
        record: delivery.map(|delivery| record(delivery, &letter.value_sha256)),
        value_sha256: letter.value_sha256.iter().fold(String::new(), digits),
    }
}

/// Processes the message of a dead letter once more, as the consumer does, and deletes the dead letter if that succeeds.
///
/// The message may have been processed meanwhile; then it is a duplicate, and the dead letter is deleted too.
///
/// # Errors
/// When the database does not answer.
pub async fn replay(
    engine: &Engine,
    position: &MessagePosition,
    delivery: Option<Delivery>,
) -> Result<ReplayOutcome, engine::Error> {
    let outcome = |outcome: &str, error_code: Option<&str>, is_forgotten| ReplayOutcome {
        id: position.to_string(),
        outcome: outcome.to_owned(),
        error_code: error_code.map(str::to_owned),
        is_forgotten,
    };
    let Some(delivery) = delivery else { return Ok(outcome("gone", None, false)) };
    Ok(match consumer::replay(engine, delivery).await? {
        Disposition::Unusable(why) => outcome("unusable", Some(why.code), false),
        // The consumer took the message for one of this service. That it is not is for an operator to judge.
        Disposition::Applied(applied @ Applied::Foreign) => outcome(applied.label(), None, false),
        Disposition::Applied(applied) => {
            outcome(applied.label(), None, delete(engine.store(), position).await?)
        }
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_envelope_is_shown_and_the_content_is_not() {
        let value = r#"{"event_id": "e-1", "event_type": "x", "secret": "canary",
            "source_service": ["canary"], "data": {"essay": "canary text", "batch_id": 1}}"#;
        let delivery = Delivery {
            topic: "huleedu.els.batch.phase.outcome.v1".parse().unwrap(),
            partition: 3,
            offset: 7,
            key: "k".to_owned(),
            value: value.as_bytes().to_vec().into(),
            trace: None,
        };
        let letter = |value_sha256| DeadLetter {
            consumer: CONSUMER.to_owned(),
            topic: "huleedu.els.batch.phase.outcome.v1".to_owned(),
            partition: 3,
            offset: 7,
            event_id: None,
            batch_id: None,
            error_code: "wrong_type".to_owned(),
            value_sha256,
            at: DateTime::UNIX_EPOCH,
            after_revision: None,
        };
        let same = detail(letter(Sha256::digest(value).to_vec()), Some(&delivery));
        let record = same.record.unwrap();
        assert!(record.is_the_same);
        assert_eq!(record.data_fields, ["batch_id", "essay"]);
        let other = detail(letter(vec![1; 32]), Some(&delivery));
        assert_eq!(other.id, "huleedu.els.batch.phase.outcome.v1/3/7");
        assert!(other.record.as_ref().is_some_and(|record| !record.is_the_same));
        let json = serde_json::to_string(&other).unwrap();
        assert!(json.contains("e-1") && !json.contains("canary"), "{json}");
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let text = "1700000000000001/bos/huleedu.els.batch.phase.outcome.v1/3/4711";
        let cursor: DeadLetterCursor = text.parse().unwrap();
        assert_eq!((cursor.0.offset, cursor.to_string().as_str()), (4711, text));
        for wrong in [
            "",
            "7",
            "x/bos/t/3/7",
            "7/bos/t/3",
            "7/bos/t/3/7/8",
            "7/b\0s/t/3/7",
            "9223372036854775807/bos/t/3/7",
        ] {
            assert_eq!(wrong.parse::<DeadLetterCursor>(), Err(BadCursor), "{wrong:?}");
        }
    }
}
