//! Neighbours that fail, forget, repeat and mix up what they say, on purpose and drawn from a seed, so that whoever depends on
//! them can be seen to bear it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::future::BoxFuture;
use uuid::Uuid;

/// How the companions misbehave; by default they do not. Rates are from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Misbehaviour {
    /// The part of essays that a worker says it cannot do.
    pub fail_rate: f64,
    /// The part of the requests that the Content Service answers with an error in place of doing what was asked.
    pub content_fail_rate: f64,
    /// How long a worker or the lifecycle service takes before it says anything.
    pub delay: Duration,
    /// The part of what is said to the service that is never said.
    pub silent_rate: f64,
    /// The part of it that is said twice.
    pub duplicate_rate: f64,
    /// What is said in one breath is said in any order.
    pub reorder: bool,
    /// Draws all that.
    pub seed: u64,
}

impl Misbehaviour {
    /// Whether a worker fails this essay in answer to this request. The same request always gets the same answer, as it must
    /// when it is delivered again.
    pub(crate) fn fails(&self, request: Uuid, essay: Uuid) -> bool {
        if self.fail_rate <= 0.0 {
            return false;
        }
        let (request, essay) = (request.as_u64_pair(), essay.as_u64_pair());
        let mix = |state: u64, word: u64| (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        let seed = [request.0, request.1, essay.0, essay.1].into_iter().fold(self.seed, mix);
        fastrand::Rng::with_seed(seed).f64() < self.fail_rate
    }

    fn touches_the_bus(&self) -> bool {
        self.silent_rate > 0.0 || self.duplicate_rate > 0.0 || self.reorder || !self.delay.is_zero()
    }
}

/// A bus on which not everything arrives as it was said. What companions say to each other is left alone, unless the service
/// reads it too.
#[derive(Debug)]
pub(crate) struct Unruly {
    bus: Arc<dyn Broker>,
    how: Misbehaviour,
    random: Mutex<fastrand::Rng>,
}

impl Unruly {
    /// The bus as it is, where nothing is to go wrong on it.
    pub(crate) fn around(bus: Arc<dyn Broker>, how: Misbehaviour) -> Arc<dyn Broker> {
        if !how.touches_the_bus() {
            return bus;
        }
        Arc::new(Self { bus, how, random: Mutex::new(fastrand::Rng::with_seed(how.seed)) })
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disturb(&self, records: Vec<Record>) -> Vec<Record> {
        let mut random = self.random();
        let mut said = Vec::with_capacity(records.len());
        for record in records {
            if !Topic::READ.contains(&record.topic) {
                said.push(record);
                continue;
            }
            if random.f64() < self.how.silent_rate {
                continue;
            }
            if random.f64() < self.how.duplicate_rate {
                said.push(record.clone());
            }
            said.push(record);
        }
        if self.how.reorder {
            random.shuffle(&mut said);
        }
        said
    }
}

#[async_trait]
impl Broker for Unruly {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        self.bus.send(record)
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        if !self.how.delay.is_zero() {
            tokio::time::sleep(self.how.delay).await;
        }
        let said = self.disturb(records);
        if said.is_empty() { Ok(()) } else { self.bus.publish(said).await }
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

    fn said(topic: Topic, number: u128) -> Record {
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
        Unruly::around(Arc::new(bus.clone()), how).publish(records).await.unwrap();
        bus.log().iter().map(|record| record.event_id.as_u128()).collect()
    }

    fn outcomes(count: u128) -> Vec<Record> {
        (0..count).map(|number| said(Topic::BatchPhaseOutcome, number)).collect()
    }

    #[tokio::test]
    async fn what_is_said_to_the_service_is_lost_doubled_and_mixed_up_at_the_rates_asked_for() {
        let silent = Misbehaviour { silent_rate: 0.3, ..Misbehaviour::default() };
        let heard = through(silent, outcomes(1_000)).await.len();
        assert!((600..800).contains(&heard), "{heard}");
        let twice = Misbehaviour { duplicate_rate: 0.3, ..Misbehaviour::default() };
        let heard = through(twice, outcomes(1_000)).await.len();
        assert!((1_200..1_400).contains(&heard), "{heard}");
        let mixed = Misbehaviour { reorder: true, ..Misbehaviour::default() };
        let heard = through(mixed, outcomes(100)).await;
        assert!(!heard.is_sorted());
        assert_eq!(heard.len(), 100);
    }

    #[tokio::test]
    async fn the_same_seed_goes_wrong_in_the_same_way_and_another_in_another() {
        let how = |seed| Misbehaviour { silent_rate: 0.5, reorder: true, seed, ..Misbehaviour::default() };
        let heard = through(how(1), outcomes(50)).await;
        assert_eq!(heard, through(how(1), outcomes(50)).await);
        assert_ne!(heard, through(how(2), outcomes(50)).await);
    }

    #[tokio::test]
    async fn what_companions_say_to_each_other_arrives() {
        let how = Misbehaviour { silent_rate: 1.0, ..Misbehaviour::default() };
        let request = said(Topic::EssaySpellcheckRequested, 7);
        assert_eq!(through(how, vec![request]).await, [7]);
    }

    #[test]
    fn a_request_that_comes_again_fails_again() {
        let how = Misbehaviour { fail_rate: 0.25, ..Misbehaviour::default() };
        let fails = |number| how.fails(id(1), id(number));
        let failed = (0..1_000).filter(|number| fails(*number)).count();
        assert!((200..300).contains(&failed), "{failed}");
        assert!((0..1_000).all(|number| fails(number) == fails(number)));
        assert!(!Misbehaviour::default().fails(id(1), id(2)));
    }
}
