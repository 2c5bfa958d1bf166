//! One record, read from its place.

use std::time::{Duration, Instant};

use contract::Topic;
use engine::ports::Delivery;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::consumer::delivery;
use super::settings::KafkaSettings;

/// How long one wait for the record may take.
const POLL: Duration = Duration::from_millis(100);

/// Reads the record at a place; none when the topic no longer has it. Joins no group and moves no position. Waits for the
/// cluster on this thread.
///
/// # Errors
/// When the cluster does not answer in time.
pub fn fetch(
    settings: &KafkaSettings,
    topic: Topic,
    partition: i32,
    offset: i64,
    patience: Duration,
) -> Result<Option<Delivery>, KafkaError> {
    let began = Instant::now();
    let mut client = settings.consumer(engine::consumer::CONSUMER);
    client.remove("statistics.interval.ms");
    let client: BaseConsumer = client.create()?;
    let (first, next) = client.fetch_watermarks(topic.as_str(), partition, patience)?;
    if offset < first || offset >= next {
        return Ok(None);
    }
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic.as_str(), partition, Offset::Offset(offset))?;
    client.assign(&place)?;
    while began.elapsed() < patience {
        if let Some(message) = client.poll(POLL) {
            // What stood there may be gone although its neighbours are not.
            let message = message?;
            return Ok((message.offset() == offset).then(|| delivery(&message)).flatten());
        }
    }
    Err(KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut))
}
