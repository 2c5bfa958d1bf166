//! The client of Kafka against librdkafka's stand-in for a cluster.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use contract::Topic;
use engine::ports::{Broker as _, Delivery, Record, SendError, Subscription};
use kafka::KafkaBroker;
use kafka::settings::KafkaSettings;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;
use uuid::Uuid;

/// No test waits longer for anything that must come.
const PATIENCE: Duration = Duration::from_mins(2);

const TOPIC: Topic = Topic::BatchPhaseOutcome;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC.as_str(), 6, 1).unwrap();
    cluster
}

fn settings(servers: String) -> KafkaSettings {
    KafkaSettings {
        message_timeout: Duration::from_secs(4),
        session_timeout: Duration::from_secs(6),
        ..KafkaSettings::plaintext(servers)
    }
}

fn broker(cluster: &Cluster) -> KafkaBroker {
    KafkaBroker::new(settings(cluster.bootstrap_servers())).unwrap()
}

fn record(number: u128) -> Record {
    let event_id = Uuid::from_u128(number);
    Record {
        topic: TOPIC,
        key: Uuid::from_u128(number % 7).to_string(),
        event_id,
        value: format!("value {number}").into_bytes(),
        headers: vec![("event_id".to_owned(), event_id.to_string())],
        at: None,
    }
}

/// Reads until it has `count` records.
async fn read(reader: &mut dyn Subscription, count: usize) -> Vec<Delivery> {
    let mut read = Vec::new();
    while read.len() < count {
        read.extend(timeout(PATIENCE, reader.next(500)).await.expect("records come").unwrap());
    }
    read
}

fn values(deliveries: &[Delivery]) -> Vec<String> {
    let mut values: Vec<_> =
        deliveries.iter().map(|delivery| String::from_utf8(delivery.value.to_vec()).unwrap()).collect();
    values.sort();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_read_in_the_order_of_its_key_where_the_answer_says_it_is() {
    let cluster = cluster();
    let broker = broker(&cluster);
    let mut placed = BTreeMap::new();
    for number in 0..50 {
        let place = broker.send(record(number)).await.unwrap();
        placed.insert((place.partition, place.offset), format!("value {number}"));
    }
    let mut reader = broker.subscribe("test", vec![TOPIC]).await.unwrap();
    let deliveries = read(reader.as_mut(), 50).await;
    for delivery in &deliveries {
        let value = String::from_utf8(delivery.value.to_vec()).unwrap();
        assert_eq!(placed.get(&(delivery.partition, delivery.offset)), Some(&value));
    }
    let mut partitions: BTreeMap<&str, i64> = BTreeMap::new();
    for delivery in &deliveries {
        let partition = *partitions.entry(&delivery.key).or_insert(delivery.partition);
        assert_eq!(partition, delivery.partition, "a key stays on its partition");
    }
    drop(reader);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_where_java_and_aiokafka_send_it() {
    let cluster = cluster();
    let broker = broker(&cluster);
    // By org.apache.kafka.common.utils.Utils.murmur2, positive, modulo six partitions.
    for (key, partition) in
        [("0197e3a0-0000-7000-8000-000000000001", murmur2(b"0197e3a0-0000-7000-8000-000000000001"))]
            .into_iter()
            .chain(["a", "abc", "huleedu"].map(|key| (key, murmur2(key.as_bytes()))))
    {
        let record = Record { key: key.to_owned(), ..record(1) };
        assert_eq!(broker.send(record).await.unwrap().partition, partition, "{key}");
    }
}

/// Kafka's default partitioner, written down from its documentation for this test.
fn murmur2(data: &[u8]) -> i64 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c_u32 ^ u32::try_from(data.len()).unwrap();
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * place);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    i64::from((h & 0x7fff_ffff) % 6)
}

#[test]
fn the_reference_of_these_tests_hashes_as_kafka_s_own_tests_say() {
    // org.apache.kafka.common.utils.UtilsTest: murmur2("21") is -973932308, murmur2("foobar") is -790332482.
    let positive = |hash: i32| i64::from(hash.cast_unsigned() & 0x7fff_ffff) % 6;
    assert_eq!(murmur2(b"21"), positive(-973_932_308));
    assert_eq!(murmur2(b"foobar"), positive(-790_332_482));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_comes_again_and_what_was_does_not() {
    let cluster = cluster();
    let broker = broker(&cluster);
    broker.publish((0..20).map(record).collect()).await.unwrap();
    let mut reader = broker.subscribe("test", vec![TOPIC]).await.unwrap();
    let first = read(reader.as_mut(), 20).await;
    reader.rewind().await.unwrap();
    let again = read(reader.as_mut(), 20).await;
    assert_eq!(values(&first), values(&again), "after a rewind in the same life");
    drop(reader);
    broker.close().await;

    let mut reader = broker.subscribe("test", vec![TOPIC]).await.unwrap();
    assert_eq!(values(&read(reader.as_mut(), 20).await), values(&first), "in the next life");
    reader.commit().await.unwrap();
    drop(reader);
    broker.close().await;

    broker.publish(vec![record(99)]).await.unwrap();
    let mut reader = broker.subscribe("test", vec![TOPIC]).await.unwrap();
    assert_eq!(values(&read(reader.as_mut(), 1).await), ["value 99"]);
    drop(reader);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_loses_nothing_of_a_flood() {
    let cluster = cluster();
    let broker = broker(&cluster);
    let many = 12_000;
    broker.publish((0..many).map(record).collect()).await.unwrap();
    let mut reader = broker.subscribe("test", vec![TOPIC]).await.unwrap();
    let mut read = read(reader.as_mut(), 1).await;
    // Its thread has more in hand than it may give away, and pauses.
    let full = async {
        while read.len() < usize::try_from(many).unwrap() {
            read.extend(reader.next(100).await.unwrap());
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.expect("everything comes");
    let mut numbers = values(&read);
    numbers.dedup();
    assert_eq!(numbers.len(), usize::try_from(many).unwrap());
    drop(reader);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_says_while_it_changes_its_leader_is_borne_inside_the_client() {
    let cluster = cluster();
    let broker = broker(&cluster);
    broker.send(record(0)).await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    broker.send(record(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_librdkafka_has_given_up_is_replaced_and_messages_go_on() {
    let cluster = cluster();
    let broker = broker(&cluster);
    broker.send(record(0)).await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let failed = broker.send(record(1)).await.unwrap_err();
    assert!(matches!(failed, SendError::Unavailable { .. }), "not counted as an attempt: {failed:?}");
    let again = async {
        while broker.send(record(1)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("another producer sends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_for_good_and_others_are_not() {
    let cluster = cluster();
    let broker = broker(&cluster);
    let large = Record { value: vec![b'x'; 3 << 20], ..record(1) };
    assert_eq!(broker.send(large).await, Err(SendError::Refused { code: "record_too_large" }));
    broker.send(record(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_is_said_to_be_and_nothing_is_held_against_a_message() {
    let broker = KafkaBroker::new(settings("127.0.0.1:1".to_owned())).unwrap();
    let failed = broker.send(record(1)).await.unwrap_err();
    assert!(matches!(failed, SendError::Unavailable { .. }), "{failed:?}");
    assert_eq!(broker.outage(), Some("broker_unreachable"));
}
