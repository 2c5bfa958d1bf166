//! Lists of batches: filters, order, and a cursor, which is the position of the last row.

use chrono::{DateTime, Utc};
use domain::{BatchId, BatchStatus, Kind};
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Json, Param, params};
use crate::sql::Sql;
use crate::tables::batches::{BatchRow, Owner, batch_columns};
use crate::tables::far_future;
use crate::tables::labels::Labels;
use crate::tx::Tx;

/// The filter, order and page of a list of batches.
#[derive(Debug, Clone)]
pub struct ListFilter {
    /// Classes or single essays.
    pub kind: Kind,
    /// Only these statuses; empty: all.
    pub statuses: Vec<BatchStatus>,
    /// `Some(true)`: only batches that need attention; `Some(false)`: only others; `None`: all.
    pub attention: Option<bool>,
    /// Only batches with all of these labels.
    pub labels: Labels,
    /// Only batches created at this time or later.
    pub created_after: Option<DateTime<Utc>>,
    /// Only batches created before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// The cursor: creation time and id of the last row of the previous page.
    pub after: Option<(DateTime<Utc>, BatchId)>,
    /// Newest first.
    pub descending: bool,
    /// Maximum number of rows.
    pub limit: u32,
}

/// The filter of a list and of its totals, with each database's JSON functions.
macro_rules! matching {
    (postgres) => {
        " FROM batches b WHERE b.owner_user_id = $1 AND b.org_id IS NOT DISTINCT FROM $2 AND b.kind = $3 \
         AND b.created_at >= $4 AND b.created_at < $5 AND ($6 IS NULL OR b.attention = $6) \
         AND (jsonb_array_length($7) = 0 OR b.status IN (SELECT jsonb_array_elements_text($7))) \
         AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements($8) AS wanted (label) WHERE NOT EXISTS ( \
           SELECT 1 FROM labels l WHERE l.batch_id = b.batch_id \
           AND l.key = wanted.label->>0 AND l.value = wanted.label->>1)) "
    };
    (sqlite) => {
        " FROM batches b WHERE b.owner_user_id = $1 AND b.org_id IS NOT DISTINCT FROM $2 AND b.kind = $3 \
         AND b.created_at >= $4 AND b.created_at < $5 AND ($6 IS NULL OR b.attention = $6) \
         AND (json_array_length($7) = 0 OR b.status IN (SELECT value FROM json_each($7))) \
         AND NOT EXISTS (SELECT 1 FROM json_each($8) AS wanted WHERE NOT EXISTS ( \
           SELECT 1 FROM labels l WHERE l.batch_id = b.batch_id \
           AND l.key = wanted.value->>0 AND l.value = wanted.value->>1)) "
    };
}

macro_rules! page {
    ($database:ident, $compare:literal, $order:literal) => {
        concat!(
            "SELECT ",
            batch_columns!(),
            matching!($database),
            "AND (b.created_at, b.batch_id) ",
            $compare,
            " ($9, $10) ORDER BY b.created_at ",
            $order,
            ", b.batch_id ",
            $order,
            " LIMIT $11"
        )
    };
}

const NEWEST_FIRST: Sql =
    Sql::each("batches", "list batches", page!(postgres, "<", "DESC"), page!(sqlite, "<", "DESC"));

const OLDEST_FIRST: Sql =
    Sql::each("batches", "list batches", page!(postgres, ">", "ASC"), page!(sqlite, ">", "ASC"));

const TOTALS: Sql = Sql::each(
    "batches",
    "count batches",
    concat!(
        "SELECT b.status, CAST(count(*) AS BIGINT)",
        matching!(postgres),
        "GROUP BY b.status ORDER BY b.status"
    ),
    concat!(
        "SELECT b.status, CAST(count(*) AS BIGINT)",
        matching!(sqlite),
        "GROUP BY b.status ORDER BY b.status"
    ),
);

impl Tx {
    /// A page of a caller's batches.
    pub async fn list(&mut self, owner: &Owner, filter: &ListFilter) -> Result<Vec<BatchRow>, Error> {
        let (statuses, labels) = filter_json(filter)?;
        let mut values = filter_params(owner, filter, &statuses, &labels).to_vec();
        let (at, id) = match filter.after {
            Some((at, id)) => (at, id.as_uuid()),
            None if filter.descending => (far_future(), Uuid::max()),
            None => (DateTime::UNIX_EPOCH, Uuid::nil()),
        };
        let sql = if filter.descending { NEWEST_FIRST } else { OLDEST_FIRST };
        values.extend_from_slice(params![at, id, filter.limit]);
        self.all(sql, &values, BatchRow::read).await
    }

    /// The number of matching batches by status, over all pages.
    pub async fn list_totals(
        &mut self,
        owner: &Owner,
        filter: &ListFilter,
    ) -> Result<Vec<(BatchStatus, i64)>, Error> {
        let (statuses, labels) = filter_json(filter)?;
        self.all(TOTALS, &filter_params(owner, filter, &statuses, &labels), |row| {
            Ok((row.word(0)?, row.get(1)?))
        })
        .await
    }
}

fn filter_json(filter: &ListFilter) -> Result<(String, String), Error> {
    let pairs: Vec<_> = filter.labels.iter().collect();
    let unwritable = |_| Error::corrupt("batches", "status", "");
    Ok((
        serde_json::to_string(&filter.statuses).map_err(unwritable)?,
        serde_json::to_string(&pairs).map_err(unwritable)?,
    ))
}

fn filter_params<'a>(
    owner: &'a Owner,
    filter: &ListFilter,
    statuses: &'a str,
    labels: &'a str,
) -> [Param<'a>; 8] {
    [
        Param::from(&owner.user_id),
        owner.org_id.as_deref().into(),
        filter.kind.as_str().into(),
        filter.created_after.unwrap_or(DateTime::UNIX_EPOCH).into(),
        filter.created_before.unwrap_or_else(far_future).into(),
        filter.attention.into(),
        Json(statuses).into(),
        Json(labels).into(),
    ]
}
