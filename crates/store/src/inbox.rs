//! `inbox`: the ids of events already applied, so that a redelivery changes nothing.

use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, params};
use crate::tx::{Sql, Tx};

/// An event as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxKey {
    /// Its id.
    pub event_id: Uuid,
    /// The topic it came on.
    pub topic: String,
    /// The partition.
    pub part: i64,
    /// The offset.
    pub off: i64,
}

/// A second consumer of the same event waits here for the first one's end.
const RECORD: Sql = Sql::each(
    "inbox",
    "record events",
    "INSERT INTO inbox (batch_id, consumer, event_id, topic, part, off, at) \
     SELECT n.batch_id, $1, n.event_id, n.topic, n.part, n.off, $2 \
     FROM UNNEST($3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[]) AS n (batch_id, event_id, topic, part, off) \
     ON CONFLICT DO NOTHING RETURNING batch_id, event_id",
    "INSERT INTO inbox (batch_id, consumer, event_id, topic, part, off, at) \
     VALUES (?3, ?1, ?4, ?5, ?6, ?7, ?2) ON CONFLICT DO NOTHING",
);

const FORGET: Sql = Sql::each(
    "inbox",
    "forget events",
    "DELETE FROM inbox WHERE batch_id = $1 AND consumer = $2 AND event_id IN (SELECT UNNEST($3::uuid[]))",
    "DELETE FROM inbox WHERE batch_id = $1 AND consumer = $2 AND event_id = $3",
);

impl Tx {
    /// Forgets events that were recorded in this transaction and could not be applied: should they come again, they are news.
    pub async fn forget_inbox(
        &mut self,
        batch: BatchId,
        consumer: &str,
        events: &[Uuid],
    ) -> Result<(), Error> {
        let rows: Vec<_> = events.iter().map(|event| [Param::from(*event)]).collect();
        self.exec_many(FORGET, params![batch, consumer], &rows).await.map(drop)
    }

    /// Records events about batches. For each one: whether it is new to this consumer.
    pub async fn record_inbox(
        &mut self,
        consumer: &str,
        events: &[(BatchId, InboxKey)],
    ) -> Result<Vec<bool>, Error> {
        let now = self.now();
        let rows: Vec<_> = events
            .iter()
            .map(|(batch, e)| {
                [(*batch).into(), e.event_id.into(), Param::from(&e.topic), e.part.into(), e.off.into()]
            })
            .collect();
        self.changed_many(RECORD, 2, params![consumer, now], &rows).await
    }
}
