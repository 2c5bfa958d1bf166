//! The engine's consumer group, whose readers share the partitions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{BrokerError, Delivery, Subscription};

use super::{Bus, TopicPartition};
use crate::Sabotage;
use crate::chance::Fault;

/// A member that reads its partitions from the committed offsets.
#[derive(Debug)]
pub(super) struct Reader {
    bus: Bus,
    topics: Vec<Topic>,
    member: u64,
    /// The generation of the group at the last assignment.
    generation: u64,
    /// The next offset to read, by partition.
    next: BTreeMap<TopicPartition, usize>,
}

impl Reader {
    pub(super) fn new(bus: Bus, topics: Vec<Topic>) -> Self {
        let member = bus.inner().group.join();
        Self { bus, topics, member, generation: 0, next: BTreeMap::new() }
    }

    /// Seeks to the committed offsets of the partitions that are assigned to it now.
    fn seek_to_committed(&mut self) {
        let inner = self.bus.inner();
        let own = inner.committed.iter().filter(|(place, _)| inner.group.is_assigned(self.member, **place));
        self.next = own.map(|(place, next)| (*place, *next)).collect();
        self.generation = inner.group.generation;
    }

    /// Reads some of the unread records: the partitions in any order, each in the order of its offsets, and
    /// in 30 % of the cases not to its end.
    fn read(&mut self, limit: usize) -> Vec<Delivery> {
        let chance = self.bus.chance.clone();
        let mut waiting: Vec<(TopicPartition, usize)> = self.bus.end_offsets(&self.topics);
        waiting.retain(|(place, _)| self.bus.inner().group.is_assigned(self.member, *place));
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
                if chance.injects(Fault::PollDuplicate) {
                    deliveries.push(delivery.clone());
                }
                deliveries.push(delivery);
            }
            *next += count;
        }
        deliveries
    }

    fn commit_positions(&self) {
        let mut inner = self.bus.inner();
        for (place, next) in &self.next {
            inner.committed.insert(*place, *next);
            let farthest = inner.highest_committed.entry(*place).or_default();
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
    /// Never waits: returns no records when there are none.
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let chance = self.bus.chance.clone();
        if chance.injects(Fault::PollFails) {
            return Err(failed("read"));
        }
        let is_shared = self.bus.inner().group.members.len() > 1;
        if is_shared && chance.injects(Fault::PartitionsMove) {
            self.bus.inner().group.rebalance();
        }
        if self.bus.inner().group.generation != self.generation {
            self.seek_to_committed();
        }
        if chance.injects(Fault::PositionsLost) {
            self.bus.inner().committed.clear();
            self.next.clear();
        }
        if chance.injects(Fault::PollRedelivery) {
            self.rewind().await?;
        }
        let deliveries = self.read(limit);
        if self.bus.sabotage == Some(Sabotage::AdvancesFirst) {
            self.commit_positions();
        }
        Ok(deliveries)
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        let chance = self.bus.chance.clone();
        if chance.injects(Fault::AdvanceFails) {
            return Err(failed("commit a position"));
        }
        self.commit_positions();
        if chance.injects(Fault::AdvanceExecuted) {
            return Err(failed("say whether a position is committed"));
        }
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BrokerError> {
        self.seek_to_committed();
        Ok(())
    }
}
