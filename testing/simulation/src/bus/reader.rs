//! The engine's place on the bus: one group, whose readers share the partitions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{BrokerError, Delivery, Subscription};

use super::{Bus, Place};
use crate::Sabotage;
use crate::chance::Fault;

/// Reads its partitions from where the group stopped.
#[derive(Debug)]
pub(super) struct Reader {
    bus: Bus,
    topics: Vec<Topic>,
    member: u64,
    /// The group's, when its partitions were last given out.
    generation: u64,
    /// What was handed out, by partition.
    next: BTreeMap<Place, usize>,
}

impl Reader {
    pub(super) fn new(bus: Bus, topics: Vec<Topic>) -> Self {
        let member = bus.inner().group.join();
        Self { bus, topics, member, generation: 0, next: BTreeMap::new() }
    }

    /// Goes back to the committed places of the partitions that are its own by now.
    fn go_back(&mut self) {
        let inner = self.bus.inner();
        let own = inner.committed.iter().filter(|(place, _)| inner.group.reads(self.member, **place));
        self.next = own.map(|(place, next)| (*place, *next)).collect();
        self.generation = inner.group.generation;
    }

    /// Some of what waits: partitions in any order, each in its own, and now and then not to its end.
    fn take(&mut self, limit: usize) -> Vec<Delivery> {
        let chance = self.bus.chance.clone();
        let mut waiting: Vec<(Place, usize)> = self.bus.ends(&self.topics);
        waiting.retain(|(place, _)| self.bus.inner().group.reads(self.member, *place));
        let mut deliveries = Vec::new();
        while !waiting.is_empty() {
            let (place, end) = waiting.swap_remove(chance.below(waiting.len()));
            let next = self.next.entry(place).or_default();
            let room = limit.saturating_sub(deliveries.len());
            let count = end.saturating_sub(*next).min(room);
            let count = if chance.percent(30) { chance.below(count + 1) } else { count };
            for at in *next..*next + count {
                let Some(entry) = self.bus.entry(place, at) else { break };
                let delivery = Delivery {
                    topic: place.0,
                    partition: place.1,
                    offset: i64::try_from(at).unwrap_or(i64::MAX),
                    key: entry.record.key,
                    value: entry.record.value.into(),
                    trace: None,
                };
                if chance.strikes(Fault::PollDuplicate) {
                    deliveries.push(delivery.clone());
                }
                deliveries.push(delivery);
            }
            *next += count;
        }
        deliveries
    }

    fn note(&self) {
        let mut inner = self.bus.inner();
        for (place, next) in &self.next {
            inner.committed.insert(*place, *next);
            let farthest = inner.dealt_with.entry(*place).or_default();
            *farthest = (*farthest).max(*next);
        }
    }
}

fn failed(doing: &'static str) -> BrokerError {
    BrokerError { doing, source: "simulated".into() }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.bus.inner().group.leave(self.member);
    }
}

#[async_trait]
impl Subscription for Reader {
    /// Never waits: without records, it hands out none.
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let chance = self.bus.chance.clone();
        if chance.strikes(Fault::PollFails) {
            return Err(failed("read"));
        }
        let is_shared = self.bus.inner().group.members.len() > 1;
        if is_shared && chance.strikes(Fault::PartitionsMove) {
            self.bus.inner().group.turn();
        }
        if self.bus.inner().group.generation != self.generation {
            self.go_back();
        }
        if chance.strikes(Fault::PositionsLost) {
            self.bus.inner().committed.clear();
            self.next.clear();
        }
        if chance.strikes(Fault::PollRedelivery) {
            self.rewind().await?;
        }
        let deliveries = self.take(limit);
        if self.bus.sabotage == Some(Sabotage::AdvancesFirst) {
            self.note();
        }
        Ok(deliveries)
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        let chance = self.bus.chance.clone();
        if chance.strikes(Fault::AdvanceFails) {
            return Err(failed("commit a position"));
        }
        self.note();
        if chance.strikes(Fault::AdvanceExecuted) {
            return Err(failed("say whether a position is committed"));
        }
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BrokerError> {
        self.go_back();
        Ok(())
    }
}
