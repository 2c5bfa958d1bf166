//! The producer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::ports::{Record, RecordPosition, SendError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::background::drop_in_background;
use super::denial::Denial;
use super::failure;
use super::health::{ClientHealth, Health};
use super::settings::KafkaSettings;

type Client = FutureProducer<ClientHealth>;

/// A producer that is replaced after a fatal error: a broken sequence ends an idempotent producer of librdkafka for good.
#[derive(Clone)]
pub(crate) struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: KafkaSettings,
    health: Health,
    client: Mutex<Arc<Client>>,
    /// The version of the password that the client was made with.
    password: AtomicU64,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Producer")
    }
}

impl Producer {
    pub(crate) fn new(settings: KafkaSettings, health: Health) -> Result<Self, KafkaError> {
        let password = AtomicU64::new(settings.password_version());
        let client = Mutex::new(Arc::new(client(&settings, &health)?));
        Ok(Self { shared: Arc::new(Shared { settings, health, client, password }) })
    }

    /// Sends a record. The order of the calls is the order within a partition.
    pub(crate) fn send(&self, record: &Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let client = self.with_present_password();
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let mut message = FutureRecord::to(record.topic.as_str())
            .key(record.key.as_str())
            .payload(record.value.as_slice())
            .headers(headers);
        message.timestamp = record.at.map(|at| at.timestamp_millis());
        match client.send_result(message) {
            Ok(delivery) => {
                let producer = self.clone();
                async move {
                    let outcome = match delivery.await {
                        Ok(Ok(delivery)) => placed(&delivery),
                        Ok(Err((error, _))) => Err(producer.failed(&client, &error)),
                        Err(_) => Err(SendError::Unavailable { code: "producer_replaced" }),
                    };
                    drop_in_background(client);
                    outcome
                }
                .boxed()
            }
            Err((error, _)) => {
                let outcome = Err(self.failed(&client, &error));
                drop_in_background(client);
                std::future::ready(outcome).boxed()
            }
        }
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.shared.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The client; a new one if the password has changed since it was made.
    fn with_present_password(&self) -> Arc<Client> {
        let client = self.client();
        let present = self.shared.settings.password_version();
        if self.shared.password.swap(present, Ordering::Relaxed) == present {
            return client;
        }
        tracing::info!("the password of Kafka has changed; the producer is replaced");
        self.replace(&client);
        self.client()
    }

    fn failed(&self, client: &Arc<Client>, error: &KafkaError) -> SendError {
        // A producer without the right to get a producer id fails with a fatal error that hides the cause.
        let mut code = error.rdkafka_error_code();
        if failure::is_fatal(error) {
            code = client.client().fatal_error().map(|(code, _)| code).or(code);
            tracing::warn!("the Kafka producer has met a fatal error and is replaced; nothing is lost");
            self.replace(client);
        }
        if let Some(Denial::Right) = code.and_then(Denial::from_code) {
            self.shared.health.forbids(&error.to_string());
            return SendError::Unavailable { code: Denial::Right.code() };
        }
        failure::classify(error)
    }

    /// Replaces the client `failed`, unless that was done already.
    fn replace(&self, failed: &Arc<Client>) {
        let mut place = self.shared.client.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&place, failed) {
            return;
        }
        match client(&self.shared.settings, &self.shared.health) {
            Ok(another) => {
                engine::metrics::producer_replaced();
                drop_in_background(std::mem::replace(&mut place, Arc::new(another)));
            }
            // The same settings made the first one, so the machine is short of something; the next message tries again.
            Err(error) => {
                tracing::error!(%error, "the Kafka producer cannot be replaced; trying again with the next message");
            }
        }
    }
}

/// The place of a delivered record. librdkafka may report a record as delivered, without an offset, that the broker refused: when a
/// later request of the partition succeeds, it takes the earlier ones for stored (confluent-kafka-go #921). A new leader
/// refuses records in its first moments. Such a record is sent again: consumers deduplicate, and a loss could not be mended.
fn placed(delivery: &Delivery) -> Result<RecordPosition, SendError> {
    if delivery.offset < 0 {
        return Err(SendError::Unavailable { code: "broker_not_certain" });
    }
    Ok(RecordPosition { partition: i64::from(delivery.partition), offset: delivery.offset })
}

fn client(settings: &KafkaSettings, health: &Health) -> Result<Client, KafkaError> {
    settings.producer().create_with_context(health.client())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contract::Topic;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use uuid::Uuid;

    use super::*;
    use crate::settings::SettingNames;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_a_new_leader_refused_does_not_count_as_sent_because_a_later_one_was_stored() {
        const TOPIC: Topic = Topic::BatchEssaysRegistered;
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC.as_str(), 1, 1).unwrap();
        // So that the second request is in flight when the first is answered.
        cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
        let settings = KafkaSettings::plaintext(cluster.bootstrap_servers());
        let producer = Producer::new(settings, Health::new(SettingNames::LIBRDKAFKA, None)).unwrap();
        let records = (0..2).map(|number| Record {
            topic: TOPIC,
            key: "key".to_owned(),
            event_id: Uuid::from_u128(number),
            // Too large to share a request (`batch.size`).
            value: vec![b'v'; 600_000],
            headers: Vec::new(),
            at: None,
        });
        let mut deliveries: Vec<_> = records.map(|record| producer.send(&record)).collect();
        let second = deliveries.pop().unwrap().await;
        let first = deliveries.pop().unwrap().await;
        assert_eq!(second, Ok(RecordPosition { partition: 0, offset: 0 }), "the broker has this record only");
        assert_eq!(first, Err(SendError::Unavailable { code: "broker_not_certain" }));
    }
}
