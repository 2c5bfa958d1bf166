//! Rows of any copied table: read page by page, inserted, counted.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::tables::{Kind, Table};
use crate::error::Error;
use crate::param::{Param, pg_arguments};
use crate::row::{JsonText, Row, RowInner};
use crate::sqlx;
use crate::tx::{Tx, TxInner};

/// A value of a row; a null has a type too.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// A UUID.
    Uuid(Option<Uuid>),
    /// An instant.
    Time(Option<DateTime<Utc>>),
    /// JSON.
    Json(Option<String>),
}

/// Shows the type and never the value, which may be private.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int",
            Self::Text(_) => "Text",
            Self::Bytes(_) => "Bytes",
            Self::Uuid(_) => "Uuid",
            Self::Time(_) => "Time",
            Self::Json(_) => "Json",
        })
    }
}

impl Value {
    fn read(row: &Row<'_>, at: usize, kind: Kind) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Int => Self::Int(row.get(at)?),
            Kind::Text => Self::Text(row.get(at)?),
            Kind::Bytes => Self::Bytes(row.get(at)?),
            Kind::Uuid => Self::Uuid(row.get(at)?),
            Kind::Time => Self::Time(row.get(at)?),
            Kind::Json => Self::Json(row.get::<Option<JsonText>>(at)?.map(|json| json.0)),
        })
    }

    fn param(&self) -> Param<'_> {
        match self {
            Self::Int(value) => Param::Int(*value),
            Self::Text(value) => Param::Text(value.as_deref()),
            Self::Bytes(value) => Param::Bytes(value.as_deref()),
            Self::Uuid(value) => Param::Uuid(*value),
            Self::Time(value) => Param::Time(*value),
            Self::Json(value) => Param::Json(value.as_deref()),
        }
    }
}

impl Table {
    fn names(&self, columns: usize) -> String {
        self.columns.iter().take(columns).map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    fn select(&self, has_cursor: bool, skip: u64) -> String {
        let (all, key) = (self.names(self.columns.len()), self.names(self.key));
        let (name, page) = (self.name, self.page);
        let after = if has_cursor {
            format!("WHERE ({key}) > ({}) ", placeholders(0, self.key))
        } else {
            String::new()
        };
        format!("SELECT {all} FROM {name} {after}ORDER BY {key} LIMIT {page} OFFSET {skip}")
    }

    fn read(&self, inner: RowInner<'_>) -> Result<Vec<Value>, Error> {
        let row = Row { table: self.name, inner };
        let columns = self.columns.iter().enumerate();
        columns.map(|(at, column)| Value::read(&row, at, column.kind)).collect()
    }

    fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let rows: Vec<String> =
            (0..rows).map(|row| format!("({})", placeholders(row * width, width))).collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.name, self.names(width), rows.join(","))
    }
}

/// `$n` for `count` parameters after `before` others.
fn placeholders(before: usize, count: usize) -> String {
    (before + 1..=before + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

const READ: &str = "read rows to promote";
const WRITE: &str = "insert promoted rows";

impl Tx {
    /// A page of a table: the rows after the key `after`, or from the beginning, without the first `skip` of them.
    pub async fn promoted_rows(
        &mut self,
        table: &'static Table,
        after: Option<&[Value]>,
        skip: u64,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let text = table.select(after.is_some(), skip);
        let key: Vec<Param<'_>> =
            after.unwrap_or_default().iter().take(table.key).map(Value::param).collect();
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let failed = |e| Error::sqlite(READ, e);
                let mut statement = conn.prepare_cached(&text).map_err(failed)?;
                let mut found = statement.query(rusqlite::params_from_iter(&key)).map_err(failed)?;
                let mut rows = Vec::new();
                while let Some(row) = found.next().map_err(failed)? {
                    rows.push(table.read(RowInner::Sqlite(row))?);
                }
                Ok(rows)
            }
            TxInner::Postgres(tx, _) => {
                let mut arguments = sqlx::postgres::PgArguments::default();
                pg_arguments(&mut arguments, READ, &key)?;
                let rows = sqlx::query_with(sqlx::AssertSqlSafe(text), arguments)
                    .fetch_all(tx.connection()?)
                    .await
                    .map_err(|e| Error::postgres(READ, e))?;
                rows.iter().map(|row| table.read(RowInner::Postgres(row))).collect()
            }
        }
    }

    /// Inserts rows into a table.
    pub async fn insert_rows(&mut self, table: &'static Table, rows: &[Vec<Value>]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = table.insert(rows.len());
        let values: Vec<Param<'_>> = rows.iter().flatten().map(Value::param).collect();
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let failed = |e| Error::sqlite(WRITE, e);
                let mut statement = conn.prepare(&text).map_err(failed)?;
                statement.execute(rusqlite::params_from_iter(&values)).map(drop).map_err(failed)
            }
            TxInner::Postgres(tx, _) => {
                let mut arguments = sqlx::postgres::PgArguments::default();
                pg_arguments(&mut arguments, WRITE, &values)?;
                sqlx::query_with(sqlx::AssertSqlSafe(text), arguments)
                    .persistent(false)
                    .execute(tx.connection()?)
                    .await
                    .map(drop)
                    .map_err(|e| Error::postgres(WRITE, e))
            }
        }
    }

    /// The first copied table that has rows, if any.
    pub async fn first_nonempty_table(&mut self) -> Result<Option<&'static str>, Error> {
        for table in super::TABLES {
            if self.count_rows(table).await? > 0 {
                return Ok(Some(table.name));
            }
        }
        Ok(None)
    }

    /// The number of rows of a table.
    pub async fn count_rows(&mut self, table: &'static Table) -> Result<u64, Error> {
        let text = format!("SELECT CAST(count(*) AS BIGINT) FROM {}", table.name);
        let count: i64 = match &mut self.inner {
            TxInner::Sqlite(conn) => {
                conn.query_row(&text, [], |row| row.get(0)).map_err(|e| Error::sqlite(READ, e))?
            }
            TxInner::Postgres(tx, _) => sqlx::query_scalar(sqlx::AssertSqlSafe(text))
                .fetch_one(tx.connection()?)
                .await
                .map_err(|e| Error::postgres(READ, e))?,
        };
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_continues_after_the_key_of_the_last_row() {
        let labels = super::super::TABLES.iter().find(|table| table.name == "labels").unwrap();
        assert_eq!(
            labels.select(true, 0),
            "SELECT batch_id, key, value FROM labels WHERE (batch_id, key) > ($1, $2) ORDER BY batch_id, key LIMIT 500 OFFSET 0"
        );
        assert_eq!(
            labels.insert(2),
            "INSERT INTO labels (batch_id, key, value) VALUES ($1, $2, $3),($4, $5, $6)"
        );
    }

    #[test]
    fn debug_never_shows_a_value() {
        assert_eq!(format!("{:?}", Value::Text(Some("a pupil's words".to_owned()))), "Text");
    }
}
