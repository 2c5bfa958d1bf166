//! The lag of a consumer group on topics that other services write in transactions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contract::Topic;
use kafka::admin::Admin;
use kafka::group::Group;
use kafka::settings::KafkaSettings;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Mutex;

use super::{ONE_AT_A_TIME, kafka};
use crate::program::eventually;

/// A topic to which no other test sends: its phase has no companion.
const TOPIC: Topic = Topic::CjAssessmentInitiate;
const PATIENCE: Duration = Duration::from_secs(30);

/// A writer of transactions.
struct Writer(BaseProducer);

impl Writer {
    fn new(settings: &KafkaSettings) -> Self {
        let mut client: ClientConfig = settings.client();
        let producer: BaseProducer = client.set("transactional.id", "lag").create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Self(producer)
    }

    fn write(&self, records: usize, is_kept: bool) {
        self.0.begin_transaction().unwrap();
        for _ in 0..records {
            self.0.send(BaseRecord::<(), _>::to(TOPIC.as_str()).partition(0).payload("{}")).unwrap();
        }
        self.0.flush(PATIENCE).unwrap();
        if is_kept { self.0.commit_transaction(PATIENCE) } else { self.0.abort_transaction(PATIENCE) }
            .unwrap();
    }
}

/// Commits the end of every partition, minus this in partition 0.
fn commit(settings: &KafkaSettings, group: &str, partitions: usize, before_the_end: i64) {
    let client: BaseConsumer = settings.consumer(group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap() {
        let (_, end) = client.fetch_watermarks(TOPIC.as_str(), partition, PATIENCE).unwrap();
        let position = if partition == 0 { end - before_the_end } else { end };
        list.add_partition_offset(TOPIC.as_str(), partition, Offset::Offset(position)).unwrap();
    }
    // A new group's coordinator refuses at first.
    let begun = Instant::now();
    while let Err(error) = client.commit(&list, CommitMode::Sync) {
        assert!(begun.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_markers_and_aborted_records_are_no_lag() {
    let Some(servers) = kafka() else { return };
    let _alone = Mutex::lock(&ONE_AT_A_TIME).await;
    let settings = KafkaSettings::plaintext(servers);
    let admin = Admin::new(&settings).unwrap();
    admin.create(&[TOPIC]).await.unwrap();
    let topics: BTreeMap<_, _> = admin.inspect(&[TOPIC]).await.unwrap().topics;
    let partitions = topics[&TOPIC].partitions;
    tokio::task::block_in_place(|| {
        let lag = || Group::inspect(&settings, "lag", &topics, PATIENCE).unwrap().lag;
        let writer = Writer::new(&settings);
        writer.write(1, true);
        // The marker of a transaction is written after its commit is acknowledged.
        eventually("the end is committed", || {
            commit(&settings, "lag", partitions, 0);
            lag() == 0
        });
        writer.write(3, false);
        writer.write(2, true);
        writer.write(4, false);
        eventually("two records will be delivered", || lag() == 2);
        // The marker of the last transaction follows its records.
        commit(&settings, "lag", partitions, 5);
        eventually("only aborted records and markers follow", || lag() == 0);
    });
}
