//! Reads topics from their beginning, and the committed offsets of a group. It commits nothing and joins no group.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use contract::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::settings::KafkaSettings;

/// A partition of a topic.
pub type Partition = (Topic, i64);

/// A record of a topic, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic that contains it.
    pub topic: Topic,
    /// The partition of the topic.
    pub partition: i64,
    /// The offset in the partition.
    pub offset: i64,
    /// When the writer gave it to its Kafka client, in milliseconds of the writer's clock.
    pub at_ms: i64,
    /// The key; empty if there is none.
    pub key: Vec<u8>,
    /// The value; empty if there is none.
    pub value: Vec<u8>,
    /// The headers whose value is UTF-8.
    pub headers: Vec<(String, String)>,
}

impl Record {
    /// The value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// The time-out of a request, and of a pause between records while there are more; chosen.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait of one poll.
const POLL: Duration = Duration::from_millis(100);

/// Calls `each` with every record of a topic, in the order of offsets within a partition.
///
/// It starts at the first record that is not older than `since`, and stops where the topic ended when this was called. A topic
/// that does not exist has no records.
///
/// # Errors
/// Kafka cannot be read for 30 s.
pub fn read(
    settings: &KafkaSettings,
    topic: Topic,
    since: Option<DateTime<Utc>>,
    mut each: impl FnMut(Record),
) -> Result<(), KafkaError> {
    let client = client(settings, "bos-audit")?;
    let mut open = beginnings(&client, topic, since)?;
    let mut list = TopicPartitionList::new();
    for (partition, (begin, _)) in &open {
        list.add_partition_offset(topic.as_str(), *partition, Offset::Offset(*begin))?;
    }
    client.assign(&list)?;
    let mut last_record = Instant::now();
    while !open.is_empty() {
        match client.poll(POLL) {
            Some(Ok(message)) => {
                last_record = Instant::now();
                let Some((_, end)) = open.get(&message.partition()).copied() else { continue };
                if message.offset() < end {
                    each(record(topic, &message));
                }
                if message.offset() + 1 >= end {
                    open.remove(&message.partition());
                }
            }
            // After the last record there may be transaction markers, which a consumer never gets.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            // After a transient error librdkafka reconnects on its own.
            Some(Err(error)) if last_record.elapsed() > PATIENCE => return Err(error),
            None if last_record.elapsed() > PATIENCE => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}

/// The offsets that a group has committed, without partitions for which it has committed none.
///
/// # Errors
/// Kafka does not answer within 30 s.
pub fn positions(
    settings: &KafkaSettings,
    group: &str,
    topics: &[Topic],
) -> Result<BTreeMap<Partition, i64>, KafkaError> {
    let client = client(settings, group)?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in partitions(&client, *topic)? {
            list.add_partition(topic.as_str(), partition);
        }
    }
    let committed = client.committed_offsets(list, PATIENCE)?;
    let known: HashSet<Topic> = topics.iter().copied().collect();
    Ok(committed
        .elements()
        .iter()
        .filter_map(|one| {
            let topic: Topic = one.topic().parse().ok().filter(|topic| known.contains(topic))?;
            let Offset::Offset(next) = one.offset() else { return None };
            Some(((topic, i64::from(one.partition())), next))
        })
        .collect())
}

fn client(settings: &KafkaSettings, group: &str) -> Result<BaseConsumer, KafkaError> {
    let mut client = settings.consumer(group);
    client.remove("statistics.interval.ms");
    client.set("enable.partition.eof", "true").create()
}

fn partitions(client: &BaseConsumer, topic: Topic) -> Result<Vec<i32>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic.as_str()), PATIENCE)?;
    let topics = metadata.topics().iter().filter(|found| found.name() == topic.as_str());
    Ok(topics.flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect())
}

/// For each partition with records to read: the first offset, and the offset after the last.
fn beginnings(
    client: &BaseConsumer,
    topic: Topic,
    since: Option<DateTime<Utc>>,
) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
    let mut begins = BTreeMap::new();
    for partition in partitions(client, topic)? {
        let (low, end) = client.fetch_watermarks(topic.as_str(), partition, PATIENCE)?;
        let begin = match since {
            Some(since) => at_time(client, topic, partition, since)?.unwrap_or(end).max(low),
            None => low,
        };
        if begin < end {
            begins.insert(partition, (begin, end));
        }
    }
    Ok(begins)
}

/// The first offset that is not older than `since`; `None` if all are older.
fn at_time(
    client: &BaseConsumer,
    topic: Topic,
    partition: i32,
    since: DateTime<Utc>,
) -> Result<Option<i64>, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), partition, Offset::Offset(since.timestamp_millis()))?;
    let found = client.offsets_for_times(list, PATIENCE)?;
    Ok(found.elements().first().and_then(|one| match one.offset() {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    }))
}

fn record(topic: Topic, message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let headers = headers
        .filter_map(|header| Some((header.key.to_owned(), String::from_utf8(header.value?.to_vec()).ok()?)));
    Record {
        topic,
        partition: i64::from(message.partition()),
        offset: message.offset(),
        at_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        headers: headers.collect(),
    }
}
