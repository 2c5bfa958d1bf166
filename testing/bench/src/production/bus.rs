//! Access to Kafka without the service.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use contract::Topic;
use futures::{StreamExt as _, stream::FuturesUnordered};
use kafka::{scan, settings::KafkaSettings};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    metadata::{MetadataPartition, MetadataTopic},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};

use crate::load::on_this_thread;

/// A topic that neither the service nor a companion reads, and to which no batch of these rows writes.
pub(super) const WARM_UP: Topic = Topic::CjAssessmentInitiate;
/// The time-out of every wait for Kafka; chosen.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two checks.
const POLL: Duration = Duration::from_millis(50);

/// Messages like those of the service.
pub(super) struct Messages {
    pub(super) topic: Topic,
    /// Bytes of a value.
    pub(super) bytes: usize,
    /// The number of different keys.
    pub(super) keys: usize,
}

/// Measures the records per second of a producer with the service's settings that does nothing else. Only the second half of the
/// records counts.
pub(super) async fn produce(settings: &KafkaSettings, messages: &Messages, count: usize) -> Result<f64> {
    /// The most messages in flight, as in the relay.
    const WINDOW: usize = 2_000;
    let producer: FutureProducer = settings.producer().create().context("making a producer")?;
    let value = vec![b'x'; messages.bytes];
    let mut under_way = FuturesUnordered::new();
    let mut half = Instant::now();
    for number in 0..count {
        if number == count / 2 {
            half = Instant::now();
        }
        let key = format!("bench-{}", number % messages.keys);
        let event_id = uuid::Uuid::from_u128(number as u128).to_string();
        let headers = OwnedHeaders::new().insert(Header { key: "event_id", value: Some(&event_id) });
        let record = FutureRecord::to(messages.topic.as_str()).key(&key).payload(&value).headers(headers);
        under_way.push(producer.send_result(record).map_err(|(error, _)| error)?);
        if under_way.len() >= WINDOW {
            under_way.next().await.context("nothing is under way")??.map_err(|(error, _)| error)?;
        }
    }
    while let Some(sent) = under_way.next().await {
        sent?.map_err(|(error, _)| error)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a run sends fewer than 2^52 records")]
    let sent = (count - count / 2 + WINDOW) as f64;
    Ok(sent / half.elapsed().as_secs_f64())
}

/// Deletes every topic, and so the committed offsets of its readers.
pub(super) fn empty(settings: &KafkaSettings) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        settings.client().create().context("making a client for Kafka's administration")?;
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for done in on_this_thread(async { Ok(admin.delete_topics(&names, &options).await?) })? {
        match done {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => bail!("cannot delete {topic}: {code}"),
        }
    }
    let begun = Instant::now();
    let reader = reader(settings)?;
    while reader.fetch_metadata(None, PATIENCE)?.topics().iter().any(|topic| names.contains(&topic.name())) {
        ensure!(begun.elapsed() < PATIENCE, "the topics still exist {PATIENCE:?} after they were deleted");
        thread::sleep(POLL);
    }
    Ok(())
}

/// A consumer that reads a topic from its end at the time of creation.
pub(super) struct Tail(BaseConsumer);

impl Tail {
    pub(super) fn of(settings: &KafkaSettings, topic: Topic) -> Result<Self> {
        let consumer = reader(settings)?;
        let mut list = TopicPartitionList::new();
        for Partition { id, end, .. } in partitions(&consumer, topic)? {
            list.add_partition_offset(topic.as_str(), id, Offset::Offset(end))?;
        }
        consumer.assign(&list)?;
        Ok(Self(consumer))
    }

    /// Waits for the next record, and returns the length of its value.
    pub(super) fn next(&self) -> Result<usize> {
        let record = self.0.poll(PATIENCE).context("no record arrived in 30 s")??;
        Ok(record.payload_len())
    }
}

/// The number of records of a topic.
pub(super) fn records(settings: &KafkaSettings, topic: Topic) -> Result<i64> {
    let partitions = partitions(&reader(settings)?, topic)?;
    Ok(partitions.iter().map(|partition| partition.end - partition.first).sum())
}

fn reader(settings: &KafkaSettings) -> Result<BaseConsumer> {
    let mut client = settings.consumer("bos-bench");
    client.remove("statistics.interval.ms");
    client.create().context("making a consumer")
}

struct Partition {
    id: i32,
    first: i64,
    end: i64,
}

fn partitions(reader: &BaseConsumer, topic: Topic) -> Result<Vec<Partition>> {
    let metadata = reader.fetch_metadata(Some(topic.as_str()), PATIENCE)?;
    let ids = metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id);
    ids.map(|id| {
        let begun = Instant::now();
        loop {
            match reader.fetch_watermarks(topic.as_str(), id, PATIENCE) {
                Ok((first, end)) => return Ok(Partition { id, first, end }),
                // A new topic has no leader at first.
                Err(_) if begun.elapsed() < PATIENCE => thread::sleep(POLL),
                Err(error) => return Err(error.into()),
            }
        }
    })
    .collect()
}

/// The number of duplicate records of the service and the companions in Kafka.
pub(super) fn counted_twice(settings: &KafkaSettings) -> Result<usize> {
    let (mut records, mut ids) = (0, HashSet::new());
    for topic in Topic::ALL.iter().filter(|topic| **topic != WARM_UP) {
        scan::read(settings, *topic, None, |record| {
            records += 1;
            ids.insert(record.header("event_id").map(str::to_owned));
        })?;
    }
    ensure!(records > 0, "Kafka contains no record");
    Ok(records - ids.len())
}
