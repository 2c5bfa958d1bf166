//! The shards that rows get where there are more of them.

use domain::{BatchId, EssayId, Slot};
use uuid::Uuid;

use crate::error::Error;
use crate::param::Param;
use crate::tx::{Sql, Tx};

const BATCHES: Sql = Sql::both("batches", "list batches", "SELECT batch_id FROM batches");

/// Where there is one shard it is shard 0, which is how the keys of these tables begin.
const OF_BATCH: [Sql; 3] = [
    Sql::both("batches", "move batches to their shards", "UPDATE batches SET shard = $1 WHERE batch_id = $2"),
    Sql::both(
        "staged_texts",
        "move staged texts to their shards",
        "UPDATE staged_texts SET shard = $1 WHERE shard = 0 AND batch_id = $2",
    ),
    Sql::both(
        "timers",
        "move timers to their shards",
        "UPDATE timers SET shard = $1 WHERE shard = 0 AND batch_id = $2",
    ),
];

const KEYS: Sql = Sql::both(
    "outbox",
    "list the keys of messages",
    "SELECT ordering_key FROM outbox UNION SELECT ordering_key FROM outbox_sent",
);

const OF_KEY: [Sql; 2] = [
    Sql::both(
        "outbox",
        "move messages to their shards",
        "UPDATE outbox SET shard = $1 WHERE shard = 0 AND ordering_key = $2",
    ),
    Sql::both(
        "outbox_sent",
        "move sent messages to their shards",
        "UPDATE outbox_sent SET shard = $1 WHERE shard = 0 AND ordering_key = $2",
    ),
];

impl Tx {
    /// Gives every row of an embedded installation the shard that it has among so many.
    pub async fn reshard(&mut self, shards: i64) -> Result<(), Error> {
        let batches: Vec<BatchId> = self.all(BATCHES, &[], |row| row.get(0)).await?;
        let rows: Vec<[Param<'_>; 2]> =
            batches.iter().map(|batch| [batch.slot().shard(shards).into(), (*batch).into()]).collect();
        for sql in OF_BATCH {
            self.exec_many(sql, &[], &rows).await?;
        }
        let keys: Vec<String> = self.all(KEYS, &[], |row| row.get(0)).await?;
        let mut rows: Vec<[Param<'_>; 2]> = Vec::with_capacity(keys.len());
        for key in &keys {
            let slot = slot_of(key).ok_or_else(|| Error::corrupt("outbox", "ordering_key", key))?;
            rows.push([slot.shard(shards).into(), key.into()]);
        }
        for sql in OF_KEY {
            self.exec_many(sql, &[], &rows).await?;
        }
        self.set_meta("shards", &shards.to_string()).await
    }
}

/// The slot of a batch or of an essay, which has its batch's.
fn slot_of(key: &str) -> Option<Slot> {
    let id = Uuid::try_parse(key).ok()?;
    let of_essay = || EssayId::try_from(id).ok().map(EssayId::slot);
    BatchId::from_uuid(id).ok().map(BatchId::slot).or_else(of_essay)
}
