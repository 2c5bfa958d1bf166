//! The sending side.

use std::sync::{Arc, Mutex, PoisonError};

use engine::ports::{Record, RecordPosition, SendError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::denial::Denial;
use super::elsewhere;
use super::failure;
use super::health::{ClientHealth, Health};
use super::settings::KafkaSettings;

type Client = FutureProducer<ClientHealth>;

/// A producer that is replaced when librdkafka has given it up: a broken sequence of an idempotent producer is fatal to it
/// for good, and without another one nothing would ever be sent again.
#[derive(Clone)]
pub(super) struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: KafkaSettings,
    health: Health,
    client: Mutex<Arc<Client>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Producer")
    }
}

impl Producer {
    pub(super) fn new(settings: KafkaSettings, health: Health) -> Result<Self, KafkaError> {
        let client = Mutex::new(Arc::new(client(&settings, &health)?));
        Ok(Self { shared: Arc::new(Shared { settings, health, client }) })
    }

    /// Hands a record over; the order of the calls is the order within a partition.
    pub(super) fn send(&self, record: &Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let client = self.client();
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
                    elsewhere::let_go(client);
                    outcome
                }
                .boxed()
            }
            Err((error, _)) => {
                let outcome = Err(self.failed(&client, &error));
                elsewhere::let_go(client);
                std::future::ready(outcome).boxed()
            }
        }
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.shared.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self, client: &Arc<Client>, error: &KafkaError) -> SendError {
        // A producer that may not even get a number of its own is given up for that.
        let mut code = error.rdkafka_error_code();
        if failure::is_fatal(error) {
            code = client.client().fatal_error().map(|(code, _)| code).or(code);
            self.replace(client);
        }
        if let Some(Denial::Right) = code.and_then(Denial::of) {
            self.shared.health.forbids(&error.to_string());
            return SendError::Unavailable { code: Denial::Right.code() };
        }
        failure::of_send(error)
    }

    /// Puts another client in the place of `given_up`, unless somebody has.
    fn replace(&self, given_up: &Arc<Client>) {
        let mut place = self.shared.client.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&place, given_up) {
            return;
        }
        match client(&self.shared.settings, &self.shared.health) {
            Ok(another) => {
                tracing::warn!("librdkafka has given a producer up; another one takes its place");
                engine::metrics::producer_replaced();
                elsewhere::let_go(std::mem::replace(&mut place, Arc::new(another)));
            }
            // The same settings made the first one; what fails now is the machine, and the next message tries again.
            Err(error) => tracing::error!(%error, "a producer that was given up cannot be replaced"),
        }
    }
}

/// Where Kafka has put a record. One that librdkafka reports as delivered without saying where may have been lost: when a
/// later request of its partition succeeds, librdkafka takes the earlier ones for stored, even one that the broker has
/// refused (confluent-kafka-go #921), as a new leader does in its first moments. Sending it again is what a reader is made
/// for, and losing it is not.
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

    use super::super::settings::tests::settings;
    use super::*;
    use crate::config::words::KafkaSecurity;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_a_new_leader_refused_is_not_taken_for_sent_because_a_later_one_was_stored() {
        const TOPIC: Topic = Topic::BatchEssaysRegistered;
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC.as_str(), 1, 1).unwrap();
        // So that the second request is on its way when the first is answered.
        cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
        let settings = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            ..settings(KafkaSecurity::Plaintext)
        };
        let producer = Producer::new(settings, Health::default()).unwrap();
        let records = (0..2).map(|number| Record {
            topic: TOPIC,
            key: "key".to_owned(),
            event_id: Uuid::from_u128(number),
            // So large that each goes alone.
            value: vec![b'v'; 600_000],
            headers: Vec::new(),
            at: None,
        });
        let mut deliveries: Vec<_> = records.map(|record| producer.send(&record)).collect();
        let second = deliveries.pop().unwrap().await;
        let first = deliveries.pop().unwrap().await;
        assert_eq!(
            second,
            Ok(RecordPosition { partition: 0, offset: 0 }),
            "the broker has this one and no other"
        );
        assert_eq!(first, Err(SendError::Unavailable { code: "broker_not_certain" }));
    }
}
