//! From Kafka records to deliveries, and reading single records again by their offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contract::Topic;
use engine::Traceparent;
use engine::ports::{Delivery, RecordPosition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::settings::KafkaSettings;

/// How long reading one record may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// The largest gap to the next offset that is read through; over a larger one the reader seeks.
const PASS_BY: i64 = 1_000;

/// Reads the records at these places of a topic, in this order. Records that the topic no longer holds are left out. Joins no group and
/// commits no offset. Blocks the calling thread.
///
/// # Errors
/// When the cluster does not answer within 10 s.
pub fn fetch(
    settings: &KafkaSettings,
    topic: Topic,
    places: &[RecordPosition],
) -> Result<Vec<Delivery>, KafkaError> {
    let mut client = settings.consumer(engine::consumer::CONSUMER);
    client.remove("statistics.interval.ms");
    let client: BaseConsumer = client.create()?;
    let mut partitions: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for place in places {
        // A partition that Kafka cannot have holds nothing.
        if let Ok(partition) = i32::try_from(place.partition) {
            partitions.entry(partition).or_default().push(place.offset);
        }
    }
    let mut found = BTreeMap::new();
    for (partition, mut offsets) in partitions {
        offsets.sort_unstable();
        let (first, next) = client.fetch_watermarks(topic.as_str(), partition, PATIENCE)?;
        offsets.retain(|offset| (first..next).contains(offset));
        let place = Partition { client: &client, topic, partition };
        for delivery in place.read(&offsets)? {
            found.insert((delivery.partition, delivery.offset), delivery);
        }
    }
    Ok(places.iter().filter_map(|place| found.remove(&(place.partition, place.offset))).collect())
}

/// A partition of which several offsets are read.
struct Partition<'a> {
    client: &'a BaseConsumer,
    topic: Topic,
    partition: i32,
}

impl Partition<'_> {
    /// The records at these offsets, which must ascend and lie below the end of the partition.
    fn read(&self, offsets: &[i64]) -> Result<Vec<Delivery>, KafkaError> {
        let mut found = Vec::with_capacity(offsets.len());
        let mut reached = None;
        let mut offsets = offsets.iter().copied().peekable();
        while let Some(&offset) = offsets.peek() {
            if reached.is_none_or(|reached| !(reached..=reached + PASS_BY).contains(&offset)) {
                self.seek(offset)?;
            }
            let record = self.next()?;
            reached = Some(record.offset + 1);
            // Compaction or an aborted transaction may have removed single offsets.
            while offsets.next_if(|offset| *offset < record.offset).is_some() {}
            if offsets.next_if_eq(&record.offset).is_some() {
                found.push(record);
            }
        }
        Ok(found)
    }

    fn seek(&self, offset: i64) -> Result<(), KafkaError> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(self.topic.as_str(), self.partition, Offset::Offset(offset))?;
        self.client.assign(&place)
    }

    fn next(&self) -> Result<Delivery, KafkaError> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(message) = self.client.poll(POLL)
                && let Some(record) = delivery(&message?)
            {
                return Ok(record);
            }
        }
        Err(KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut))
    }
}

/// A record as a delivery; `None` for a topic that the service does not know.
pub(crate) fn delivery(message: &BorrowedMessage<'_>) -> Option<Delivery> {
    Some(Delivery {
        topic: message.topic().parse().ok()?,
        partition: i64::from(message.partition()),
        offset: message.offset(),
        key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        trace: message.headers().and_then(trace_context),
    })
}

/// The trace context in the headers.
fn trace_context(headers: &impl Headers) -> Option<Traceparent> {
    let named = headers.iter().find(|header| header.key == Traceparent::HEADER)?;
    std::str::from_utf8(named.value?).ok()?.parse().ok()
}
