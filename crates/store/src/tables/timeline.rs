//! `timeline`: one row per revision of a batch, with its reason and its changes. It holds no private values.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::row::JsonText;
use crate::sql::Sql;
use crate::tables::batches::{Owner, owned};
use crate::tx::Tx;

/// One revision of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineRow {
    /// The revision.
    pub revision: i64,
    /// When it was committed, by the unit's clock.
    pub at: DateTime<Utc>,
    /// The reason, as a sentence.
    pub reason: String,
    /// The changes, as a JSON array. The index of an entry is the second part of an event id of the event stream.
    pub entries: String,
    /// The correlation id of the request that caused it, if any.
    pub correlation_id: Option<Uuid>,
}

const INSERT: Sql = Sql::both(
    "timeline",
    "write the timeline",
    "INSERT INTO timeline (batch_id, revision, at, reason, entries, correlation_id) VALUES ($1, $2, $3, $4, $5, $6)",
);

const READ: Sql = Sql::both(
    "timeline",
    "read the timeline",
    concat!(
        "SELECT revision, at, reason, entries, correlation_id FROM timeline WHERE batch_id = $1 AND ",
        owned!(),
        " AND revision > $4 ORDER BY revision LIMIT $5"
    ),
);

impl Tx {
    /// Appends revisions of batches.
    pub async fn append_timeline(&mut self, lines: &[(BatchId, TimelineRow)]) -> Result<(), Error> {
        let rows = lines.iter().map(|(batch, line)| -> [Param<'_>; 6] {
            [
                (*batch).into(),
                line.revision.into(),
                line.at.into(),
                Param::from(&line.reason),
                Json(&line.entries).into(),
                line.correlation_id.into(),
            ]
        });
        self.insert_many_deferred(INSERT, "", rows).await
    }

    /// At most `limit` revisions of a batch after `after`, oldest first; empty if the batch has another owner.
    pub async fn timeline(
        &mut self,
        owner: &Owner,
        batch: BatchId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TimelineRow>, Error> {
        self.all(READ, params![batch, &owner.user_id, owner.org_id.as_deref(), after, limit], |row| {
            Ok(TimelineRow {
                revision: row.get(0)?,
                at: row.get(1)?,
                reason: row.get(2)?,
                entries: row.get::<JsonText>(3)?.0,
                correlation_id: row.get(4)?,
            })
        })
        .await
    }
}
