//! Injected faults: companions that fail essays and lose, repeat and reorder their events, drawn from a seed,
//! for tests of what depends on them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::future::BoxFuture;
use uuid::Uuid;

/// Rates of injected faults, from 0 to 1. Default: no faults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Misbehaviour {
    /// The share of essays that a worker fails.
    pub fail_rate: f64,
    /// The share of requests that the Content Service answers with an error instead of executing them.
    pub content_fail_rate: f64,
    /// The delay before a worker or the lifecycle service publishes.
    pub delay: Duration,
    /// The share of events that BOS alone reads that are not published.
    pub silent_rate: f64,
    /// The share of phase commands that the lifecycle service skips for good, as if it had been killed while it
    /// handled them. Under another event id the same command is drawn again.
    pub forget_rate: f64,
    /// The share of events for BOS that are published twice.
    pub duplicate_rate: f64,
    /// Shuffles the events that are published together.
    pub reorder: bool,
    /// The seed of all draws.
    pub seed: u64,
}

impl Misbehaviour {
    /// Whether a worker fails this essay of this request. The same request always gives the same result,
    /// because it may be delivered again.
    pub(crate) fn fails(&self, request: Uuid, essay: Uuid) -> bool {
        if self.fail_rate <= 0.0 {
            return false;
        }
        let (request, essay) = (request.as_u64_pair(), essay.as_u64_pair());
        let mix = |state: u64, word: u64| (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        let seed = [request.0, request.1, essay.0, essay.1].into_iter().fold(self.seed, mix);
        fastrand::Rng::with_seed(seed).f64() < self.fail_rate
    }

    /// Whether the lifecycle service skips the command with this event id, each time that it is delivered.
    pub(crate) fn forgets(&self, event_id: Uuid) -> bool {
        if self.forget_rate <= 0.0 {
            return false;
        }
        let (high, low) = event_id.as_u64_pair();
        let seed = (self.seed ^ high).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ low;
        fastrand::Rng::with_seed(seed).f64() < self.forget_rate
    }

    fn affects_bus(&self) -> bool {
        self.silent_rate > 0.0 || self.duplicate_rate > 0.0 || self.reorder || !self.delay.is_zero()
    }
}

/// A bus that loses, repeats and reorders events that BOS reads. Events that only companions read are passed
/// on unchanged.
#[derive(Debug)]
pub(crate) struct FaultyBroker {
    bus: Arc<dyn Broker>,
    how: Misbehaviour,
    random: Mutex<fastrand::Rng>,
}

impl FaultyBroker {
    /// Wraps `bus`; returns it unchanged when no fault affects the bus.
    pub(crate) fn wrap(bus: Arc<dyn Broker>, how: Misbehaviour) -> Arc<dyn Broker> {
        if !how.affects_bus() {
            return bus;
        }
        Arc::new(Self { bus, how, random: Mutex::new(fastrand::Rng::with_seed(how.seed)) })
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inject_faults(&self, records: Vec<Record>) -> Vec<Record> {
        let mut random = self.random();
        let mut outgoing = Vec::with_capacity(records.len());
        for record in records {
            if !Topic::READ.contains(&record.topic) {
                outgoing.push(record);
                continue;
            }
            // The lifecycle service reads this one, too: it would wait for the essay for ever.
            let is_shared = record.topic == Topic::SpellcheckPhaseCompleted;
            if !is_shared && random.f64() < self.how.silent_rate {
                continue;
            }
            if random.f64() < self.how.duplicate_rate {
                outgoing.push(record.clone());
            }
            outgoing.push(record);
        }
        if self.how.reorder {
            random.shuffle(&mut outgoing);
        }
        outgoing
    }
}

#[async_trait]
impl Broker for FaultyBroker {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        self.bus.send(record)
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        if !self.how.delay.is_zero() {
            tokio::time::sleep(self.how.delay).await;
        }
        let outgoing = self.inject_faults(records);
        if outgoing.is_empty() { Ok(()) } else { self.bus.publish(outgoing).await }
    }

    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        self.bus.subscribe(consumer, topics).await
    }

    async fn fetch(&self, topic: Topic, places: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        self.bus.fetch(topic, places).await
    }

    fn outage(&self) -> Option<&'static str> {
        self.bus.outage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryBus, id};

    fn event(topic: Topic, number: u128) -> Record {
        Record {
            topic,
            key: String::new(),
            event_id: id(number),
            value: Vec::new(),
            headers: Vec::new(),
            at: None,
        }
    }

    async fn through(how: Misbehaviour, records: Vec<Record>) -> Vec<u128> {
        let bus = MemoryBus::default();
        FaultyBroker::wrap(Arc::new(bus.clone()), how).publish(records).await.unwrap();
        bus.log().iter().map(|record| record.event_id.as_u128()).collect()
    }

    fn outcomes(count: u128) -> Vec<Record> {
        (0..count).map(|number| event(Topic::BatchPhaseOutcome, number)).collect()
    }

    #[tokio::test]
    async fn events_for_bos_are_lost_repeated_and_reordered_at_the_given_rates() {
        let silent = Misbehaviour { silent_rate: 0.3, ..Misbehaviour::default() };
        let published = through(silent, outcomes(1_000)).await.len();
        assert!((600..800).contains(&published), "{published}");
        let twice = Misbehaviour { duplicate_rate: 0.3, ..Misbehaviour::default() };
        let published = through(twice, outcomes(1_000)).await.len();
        assert!((1_200..1_400).contains(&published), "{published}");
        let mixed = Misbehaviour { reorder: true, ..Misbehaviour::default() };
        let published = through(mixed, outcomes(100)).await;
        assert!(!published.is_sorted());
        assert_eq!(published.len(), 100);
    }

    #[tokio::test]
    async fn a_result_that_the_lifecycle_service_reads_is_never_lost() {
        let how = Misbehaviour { silent_rate: 1.0, ..Misbehaviour::default() };
        assert_eq!(through(how, vec![event(Topic::SpellcheckPhaseCompleted, 7)]).await, [7]);
    }

    #[test]
    fn a_command_is_forgotten_under_its_event_id_and_not_under_another() {
        let how = Misbehaviour { forget_rate: 0.25, ..Misbehaviour::default() };
        let forgotten = (0..1_000).filter(|number| how.forgets(id(*number))).count();
        assert!((200..300).contains(&forgotten), "{forgotten}");
        assert!((0..1_000).all(|number| how.forgets(id(number)) == how.forgets(id(number))));
        assert!(!Misbehaviour::default().forgets(id(1)));
    }

    #[tokio::test]
    async fn the_same_seed_injects_the_same_faults_and_another_seed_others() {
        let how = |seed| Misbehaviour { silent_rate: 0.5, reorder: true, seed, ..Misbehaviour::default() };
        let published = through(how(1), outcomes(50)).await;
        assert_eq!(published, through(how(1), outcomes(50)).await);
        assert_ne!(published, through(how(2), outcomes(50)).await);
    }

    #[tokio::test]
    async fn events_between_companions_are_passed_on() {
        let how = Misbehaviour { silent_rate: 1.0, ..Misbehaviour::default() };
        let request = event(Topic::EssaySpellcheckRequested, 7);
        assert_eq!(through(how, vec![request]).await, [7]);
    }

    #[test]
    fn a_redelivered_request_has_the_same_result() {
        let how = Misbehaviour { fail_rate: 0.25, ..Misbehaviour::default() };
        let fails = |number| how.fails(id(1), id(number));
        let failed = (0..1_000).filter(|number| fails(*number)).count();
        assert!((200..300).contains(&failed), "{failed}");
        assert!((0..1_000).all(|number| fails(number) == fails(number)));
        assert!(!Misbehaviour::default().fails(id(1), id(2)));
    }
}
