//! `labels`: key-value pairs of a batch, one row per label so that lists can filter on them.

use std::collections::BTreeMap;

use domain::BatchId;

use crate::error::Error;
use crate::param::{Param, params};
use crate::private::Private;
use crate::sql::Sql;
use crate::tables::batches::{Owner, owned};
use crate::tx::Tx;

/// Labels by key: of a batch, or of a list filter.
pub type Labels = BTreeMap<String, Private<String>>;

const INSERT: Sql =
    Sql::both("labels", "insert labels", "INSERT INTO labels (batch_id, key, value) VALUES ($1, $2, $3)");

const READ: Sql = Sql::both(
    "labels",
    "read labels",
    concat!("SELECT key, value FROM labels WHERE batch_id = $1 AND ", owned!()),
);

impl Tx {
    /// Stores the labels of a new batch.
    pub async fn insert_labels(&mut self, batch: BatchId, labels: &Labels) -> Result<(), Error> {
        let rows = labels.iter().map(|(key, value)| [batch.into(), Param::from(key), Param::from(&value.0)]);
        self.insert_many_deferred(INSERT, "", rows).await
    }

    /// The labels of a batch; empty if the batch has another owner.
    pub async fn labels(&mut self, owner: &Owner, batch: BatchId) -> Result<Labels, Error> {
        let caller = params![batch, &owner.user_id, owner.org_id.as_deref()];
        let rows = self.all(READ, caller, |row| Ok((row.get(0)?, Private(row.get(1)?)))).await?;
        Ok(rows.into_iter().collect())
    }
}
