//! Messages that the bus refused for good: what they hold back, and what becomes of them.

use anyhow::Result;

use super::{Check, Invariant};
use crate::operator::Operator;

impl Check {
    /// How many messages are parked.
    pub const fn parked(&self) -> usize {
        self.parked
    }

    /// Nothing of a parked message's key overtakes it.
    pub(super) fn look_at_parked(&mut self) -> Result<()> {
        let parked = self.eye.parked()?;
        self.parked = parked.len();
        for message in parked {
            let last = self.order.get(&message.ordering_key);
            // One that was sent again and is parked by what a process heard before that may be on the bus.
            let is_overtaken =
                !self.events.contains_key(&message.event) && last.is_some_and(|last| *last > message.key_seq);
            if message.holds_back || is_overtaken {
                self.findings.hold(Invariant::Parked, !is_overtaken, || {
                    format!("{message:?} was overtaken by {last:?}")
                });
            }
        }
        Ok(())
    }

    /// Messages that wait and that no parked one holds back.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn free(&self) -> Result<u64> {
        self.eye.count(
            "SELECT count(*) FROM outbox o WHERE state = 0 AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.shard = o.shard \
             AND p.ordering_key = o.ordering_key AND p.key_seq < o.key_seq AND p.state = 2)",
        )
    }

    /// Nothing moves any more while messages are parked, and so many wait that none of those holds back.
    pub fn hold_free(&mut self, free: u64) {
        let parked = self.parked;
        self.findings.hold(Invariant::Parked, free == 0, || {
            format!("{free} messages wait with {parked} parked ones that are not before them")
        });
    }

    /// Given up is what the operator gave up. To its key such a message is as one that was sent.
    pub(super) fn conclude_given_up(&mut self, operator: &Operator) -> Result<()> {
        for message in self.eye.given_up()? {
            let holds = operator.gave_up(message.event) && !self.events.contains_key(&message.event);
            self.findings.hold(Invariant::Parked, holds, || {
                format!("{message:?} was given up by nobody, or is on the bus")
            });
            let batch = crate::neighbours::batch_of(&message.kafka_key);
            self.numbers.insert((batch, message.key_seq), message.event);
        }
        Ok(())
    }
}
