//! Checks of messages that the bus refused for good (S3): what they block, and how they end.

use anyhow::Result;
use invariants::Invariant;

use super::Check;
use crate::operator::Operator;

impl Check {
    /// The number of messages that are parked.
    pub const fn parked(&self) -> usize {
        self.parked
    }

    /// Checks that no message overtakes a parked one of its key.
    pub(super) fn check_parked(&mut self) -> Result<()> {
        let parked = self.database.parked()?;
        self.parked = parked.len();
        for message in parked {
            let last = self.order.get(&message.ordering_key);
            // A message may be on the bus and parked at the same time: it was retried, and then parked because of an answer
            // that the process had received before.
            let is_overtaken =
                !self.events.contains_key(&message.event) && last.is_some_and(|last| *last > message.key_seq);
            if message.blocks_others || is_overtaken {
                self.findings.check(Invariant::S3, !is_overtaken, || {
                    (format!("event {}", message.event), format!("{message:?} was overtaken by {last:?}"))
                });
            }
        }
        Ok(())
    }

    /// Counts the messages that wait and that no parked message blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_unblocked(&self) -> Result<u64> {
        self.database.count(
            "SELECT count(*) FROM outbox o WHERE state = 0 AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.shard = o.shard \
             AND p.ordering_key = o.ordering_key AND p.key_seq < o.key_seq AND p.state = 2)",
        )
    }

    /// Checks, when nothing moves any more while messages are parked, that no `unblocked` message waits.
    pub fn check_unblocked(&mut self, unblocked: u64) {
        let parked = self.parked;
        self.findings.check(Invariant::S3, unblocked == 0, || {
            let what = format!("{unblocked} messages wait that none of the {parked} parked messages blocks");
            ("outbox".to_owned(), what)
        });
    }

    /// Checks that a message is given up only where the operator has done it, and is not on the bus. For the order of its key
    /// such a message counts as sent.
    pub(super) fn check_given_up(&mut self, operator: &Operator) -> Result<()> {
        for message in self.database.given_up()? {
            let holds = operator.gave_up(message.event) && !self.events.contains_key(&message.event);
            self.findings.check(Invariant::S3, holds, || {
                let what = format!("{message:?} was given up without the operator, or is on the bus");
                (format!("event {}", message.event), what)
            });
            let batch = crate::peers::batch_of(&message.kafka_key);
            self.numbers.insert((batch, message.key_seq), message.event);
        }
        Ok(())
    }
}
