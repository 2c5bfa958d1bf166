//! `timeline`: one row per revision of a batch, with the reason and a list of what changed. Never a text or a name.

use chrono::{DateTime, Utc};
use domain::BatchId;
use uuid::Uuid;

use crate::batches::Owner;
use crate::error::Error;
use crate::param::{Json, JsonText, Param, params};
use crate::reads::owned;
use crate::tx::{Sql, Tx};

/// What happened in one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineRow {
    /// The revision that it led to.
    pub revision: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Why, as a sentence.
    pub reason: String,
    /// What changed, as a JSON list; the place in it is the second part of an event's id.
    pub entries: String,
    /// The request that caused it, if one did.
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
    /// Notes what revisions of batches changed, and why.
    pub async fn note(&mut self, lines: &[(BatchId, TimelineRow)]) -> Result<(), Error> {
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
        self.insert_many_along(INSERT, "", rows).await
    }

    /// The revisions of an owner's batch after `after`, oldest first. A stranger gets none.
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
