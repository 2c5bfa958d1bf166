//! Dead letters: messages that the consumer could not process.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use engine::consumer::{self, CONSUMER};
use engine::ports::{Broker, BrokerError, Delivery, RecordPosition};
use engine::{Applied, Disposition, Engine};
use serde::{Deserialize, Serialize};
use store::{DeadLetter, Lane, QueueDepth, Store};
use utoipa::ToSchema;
use uuid::Uuid;

use super::record::DeadLetterRecord;

/// The position of a message on the bus, written `TOPIC/PARTITION/OFFSET`. It identifies the message's dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePosition {
    /// The topic.
    pub topic: String,
    /// The partition; 0 on the embedded bus.
    pub partition: i64,
    /// The offset in the partition; the record's id on the embedded bus.
    pub offset: i64,
}

impl FromStr for MessagePosition {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let position = (|| {
            let topic = parts.next().filter(|topic| !topic.is_empty())?.to_owned();
            let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(Self { topic, partition, offset })
        })();
        position.ok_or("TOPIC/PARTITION/OFFSET is expected, as `bos dead-letter list` prints it")
    }
}

impl fmt::Display for MessagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

fn position_of(letter: &DeadLetter) -> MessagePosition {
    MessagePosition { topic: letter.topic.clone(), partition: letter.partition, offset: letter.offset }
}

/// A dead letter as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterSummary {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// Why the message could not be processed.
    pub error_code: String,
    /// When it was dead-lettered.
    pub set_aside_at: DateTime<Utc>,
    /// The event id, if it could be read.
    pub event_id: Option<Uuid>,
    /// The batch that the message is about, if that could be read.
    pub batch_id: Option<Uuid>,
    /// For a message that came too early: it is processed again once its batch is past this revision.
    pub after_revision: Option<i64>,
}

impl From<DeadLetter> for DeadLetterSummary {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: position_of(&letter).to_string(),
            error_code: letter.error_code,
            set_aside_at: letter.at,
            event_id: letter.event_id,
            batch_id: letter.batch_id.map(domain::BatchId::as_uuid),
            after_revision: letter.after_revision,
        }
    }
}

/// The latest dead letters, and the number of all.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterList {
    /// Dead letters, latest first.
    pub data: Vec<DeadLetterSummary>,
    /// All dead letters, whatever the limit of the list.
    pub depth: DeadLetterCounts,
}

/// The number of dead letters.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterCounts {
    /// Dead letters.
    pub rows: i64,
    /// When the oldest was dead-lettered.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Lists at most `limit` dead letters, latest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, limit: u32) -> Result<DeadLetterList, store::Error> {
    let read = store.read(move |tx| {
        Box::pin(async move { Ok((tx.dead_letters(limit).await?, tx.dead_letter_depth().await?)) })
    });
    let (letters, QueueDepth { rows, oldest_at }) = read.await?;
    let data = letters.into_iter().map(DeadLetterSummary::from).collect();
    Ok(DeadLetterList { data, depth: DeadLetterCounts { rows, oldest_at } })
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

/// A dead letter with the envelope of its message and without the message's payload.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterDetail {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// The consumer that could not process it.
    pub consumer: String,
    /// Why the message could not be processed.
    pub error_code: String,
    /// When it was dead-lettered.
    pub set_aside_at: DateTime<Utc>,
    /// The SHA-256 hash of the message, as hexadecimal digits.
    pub value_sha256: String,
    /// The message; null when the bus no longer has it.
    pub record: Option<DeadLetterRecord>,
}

impl DeadLetterDetail {
    /// Describes a dead letter and the message at its position, if the bus still has it.
    pub fn new(letter: DeadLetter, delivery: Option<&Delivery>) -> Self {
        let digits = |text: String, byte: &u8| text + &format!("{byte:02x}");
        Self {
            id: position_of(&letter).to_string(),
            consumer: letter.consumer,
            error_code: letter.error_code,
            set_aside_at: letter.at,
            record: delivery.map(|delivery| DeadLetterRecord::new(delivery, &letter.value_sha256)),
            value_sha256: letter.value_sha256.iter().fold(String::new(), digits),
        }
    }
}

/// What became of a message that was replayed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReplayOutcome {
    /// The position of the message, `TOPIC/PARTITION/OFFSET`.
    pub id: String,
    /// `applied`, `unchanged`, `duplicate`, `foreign`, `unusable`, or `gone` when the bus no longer has the message.
    pub outcome: String,
    /// Why the message still cannot be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Whether the dead letter was deleted.
    pub is_forgotten: bool,
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
        let same = DeadLetterDetail::new(letter(Sha256::digest(value).to_vec()), Some(&delivery));
        let record = same.record.unwrap();
        assert!(record.is_the_same);
        assert_eq!(record.data_fields, ["batch_id", "essay"]);
        let other = DeadLetterDetail::new(letter(vec![1; 32]), Some(&delivery));
        assert_eq!(other.id, "huleedu.els.batch.phase.outcome.v1/3/7");
        assert!(other.record.as_ref().is_some_and(|record| !record.is_the_same));
        let json = serde_json::to_string(&other).unwrap();
        assert!(json.contains("e-1") && !json.contains("canary"), "{json}");
    }

    #[test]
    fn a_position_is_read_as_it_is_printed() {
        let text = "huleedu.els.batch.phase.outcome.v1/3/4711";
        let position: MessagePosition = text.parse().unwrap();
        assert_eq!((position.partition, position.offset, position.to_string().as_str()), (3, 4711, text));
        for wrong in ["", "huleedu.els.batch.phase.outcome.v1/3", "a/b/c", "/1/2", "a/1/2/3"] {
            assert!(wrong.parse::<MessagePosition>().is_err(), "{wrong}");
        }
    }
}
