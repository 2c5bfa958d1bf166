//! Assigns the shards of the target to the rows of an embedded installation, which has a single shard.

use domain::{BatchId, EssayId, Slot};
use uuid::Uuid;

use crate::error::Error;
use crate::param::Param;
use crate::sql::Sql;
use crate::tx::Tx;

const BATCHES: Sql = Sql::both("batches", "list batches", "SELECT batch_id FROM batches");

/// The single shard is shard 0, with which the keys of these tables begin.
const BY_BATCH: [Sql; 3] = [
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

const BY_KEY: [Sql; 2] = [
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
    /// Sets the shard of every row to its shard out of `shards`, and stores the number of shards.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if an ordering key is neither a batch id nor an essay id.
    pub async fn reshard(&mut self, shards: i64) -> Result<(), Error> {
        let batches: Vec<BatchId> = self.all(BATCHES, &[], |row| row.get(0)).await?;
        let rows: Vec<[Param<'_>; 2]> =
            batches.iter().map(|batch| [batch.slot().shard(shards).into(), (*batch).into()]).collect();
        for sql in BY_BATCH {
            self.exec_many(sql, &[], &rows).await?;
        }
        let keys: Vec<String> = self.all(KEYS, &[], |row| row.get(0)).await?;
        let mut rows: Vec<[Param<'_>; 2]> = Vec::with_capacity(keys.len());
        for key in &keys {
            let slot = slot_of(key).ok_or_else(|| Error::corrupt("outbox", "ordering_key", key))?;
            rows.push([slot.shard(shards).into(), key.into()]);
        }
        for sql in BY_KEY {
            self.exec_many(sql, &[], &rows).await?;
        }
        self.set_meta("shards", &shards.to_string()).await
    }
}

/// The slot of an ordering key, which is a batch id or an essay id.
fn slot_of(key: &str) -> Option<Slot> {
    let id = Uuid::try_parse(key).ok()?;
    let of_essay = || EssayId::try_from(id).ok().map(EssayId::slot);
    BatchId::from_uuid(id).ok().map(BatchId::slot).or_else(of_essay)
}
