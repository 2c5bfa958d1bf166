//! `inbox`: ids of applied events, so that a redelivery changes nothing.

use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, params};
use crate::sql::Sql;
use crate::tx::Tx;

/// A received event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxKey {
    /// The event id.
    pub event_id: Uuid,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
}

/// A concurrent unit that records the same event waits here for the end of the first.
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

const DELETE: Sql = Sql::each(
    "inbox",
    "delete events",
    "DELETE FROM inbox WHERE batch_id = $1 AND consumer = $2 AND event_id IN (SELECT UNNEST($3::uuid[]))",
    "DELETE FROM inbox WHERE batch_id = $1 AND consumer = $2 AND event_id = $3",
);

impl Tx {
    /// Deletes events that were recorded in this transaction but could not be applied, so that a redelivery is not a duplicate.
    pub async fn delete_from_inbox(
        &mut self,
        batch: BatchId,
        consumer: &str,
        events: &[Uuid],
    ) -> Result<(), Error> {
        let rows: Vec<_> = events.iter().map(|event| [Param::from(*event)]).collect();
        self.exec_many(DELETE, params![batch, consumer], &rows).await.map(drop)
    }

    /// Records events about batches; returns for each whether it is new to this consumer.
    pub async fn record_inbox(
        &mut self,
        consumer: &str,
        events: &[(BatchId, InboxKey)],
    ) -> Result<Vec<bool>, Error> {
        let now = self.now();
        let rows: Vec<_> = events
            .iter()
            .map(|(batch, e)| {
                [
                    (*batch).into(),
                    e.event_id.into(),
                    Param::from(&e.topic),
                    e.partition.into(),
                    e.offset.into(),
                ]
            })
            .collect();
        self.changed_many(RECORD, 2, params![consumer, now], &rows).await
    }
}
