//! One open transaction, and the few ways to run a statement in it.
//!
//! Every statement goes through here with one SQL text for both databases, or through [`Sql`] with two where they differ.
//! Placeholders are `$1`, `$2`, … and appear for the first time in ascending order, because SQLite numbers them by first
//! appearance; a text for SQLite alone may use `?1`, `?2`, … in any order.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use uuid::Uuid;

use crate::bulk::{chunks, insert_columns};
use crate::error::Error;
use crate::param::{Param, Row, RowInner, pg_columns};
use crate::postgres::Open;
use crate::riders::{Riders, Statement, values};
use crate::sqlx;

/// A statement: what it does (for errors), the table it is about, and its text in each database's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    /// What the statement does, as in "cannot *record the news*".
    pub(crate) doing: &'static str,
    /// The table that a bad value would be found in.
    pub(crate) table: &'static str,
    /// The text for PostgreSQL.
    pub(crate) postgres: &'static str,
    /// The text for SQLite.
    pub(crate) sqlite: &'static str,
}

impl Sql {
    /// A text that both databases take.
    pub(crate) const fn both(table: &'static str, doing: &'static str, text: &'static str) -> Self {
        Self::each(table, doing, text, text)
    }

    /// Two texts, where the databases differ; each use says why.
    pub(crate) const fn each(
        table: &'static str,
        doing: &'static str,
        postgres: &'static str,
        sqlite: &'static str,
    ) -> Self {
        assert!(placeholders_ascend(sqlite), "SQLite numbers $n by first appearance: write ?n, or reorder");
        Self { doing, table, postgres, sqlite }
    }
}

/// Whether every `$n` appears for the first time after all smaller ones. Checked when a constant is compiled.
const fn placeholders_ascend(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let mut highest = 0;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'$' {
            let mut number = 0;
            while let [digit @ b'0'..=b'9', tail @ ..] = rest {
                number = number * 10 + (*digit - b'0') as u32;
                rest = tail;
            }
            if number > highest + 1 {
                return false;
            }
            if number > highest {
                highest = number;
            }
        }
    }
    true
}

/// One open transaction of a unit or of a read. Nothing inside a unit awaits anything but this.
pub struct Tx {
    pub(crate) inner: TxInner,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) enum TxInner {
    Sqlite(Connection),
    Postgres(Open, Riders),
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.inner {
            TxInner::Sqlite(_) => "Tx(SQLite)",
            TxInner::Postgres(..) => "Tx(PostgreSQL)",
        })
    }
}

impl Tx {
    /// The time of this unit: read once from the database's clock (PostgreSQL) or the installation's (SQLite).
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Whether this is SQLite, which has no statement that changes two tables.
    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.inner, TxInner::Sqlite(_))
    }

    /// Runs a statement and says how many rows it changed.
    pub(crate) async fn exec(&mut self, sql: Sql, params: &[Param<'_>]) -> Result<u64, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => sqlite_exec(conn, sql, params),
            TxInner::Postgres(tx, riders) => {
                apart(tx, riders, sql).await?;
                let statement = riders.board(sql.postgres.into(), values(sql.doing, params))?;
                execute(tx, sql, statement).await
            }
        }
    }

    /// Runs a statement for many rows of parameters and says how many rows it changed in all.
    ///
    /// PostgreSQL gets one statement, whose `fixed` parameters come first and whose rows follow as one array per column
    /// (`UNNEST`). SQLite, which pays no round trip, runs a prepared statement per row: its fastest bulk form.
    pub(crate) async fn exec_many<'p, const N: usize>(
        &mut self,
        sql: Sql,
        fixed: &[Param<'p>],
        rows: &[[Param<'p>; N]],
    ) -> Result<u64, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let mut statement = prepare(conn, sql)?;
                rows.iter().try_fold(0, |changed, row| {
                    let n = statement
                        .execute(rusqlite::params_from_iter(fixed.iter().chain(row)))
                        .map_err(|e| Error::sqlite(sql.doing, e))?;
                    Ok(changed + n as u64)
                })
            }
            TxInner::Postgres(..) if rows.is_empty() => Ok(0),
            TxInner::Postgres(tx, riders) => {
                apart(tx, riders, sql).await?;
                let values = |arguments: &mut _| pg_columns(arguments, sql.doing, fixed, rows);
                let statement = riders.board(sql.postgres.into(), values)?;
                execute(tx, sql, statement).await
            }
        }
    }

    /// As [`Tx::exec`], for rows that nobody counts: on PostgreSQL in the round trip of what comes next.
    pub(crate) async fn exec_along(&mut self, sql: Sql, params: &[Param<'_>]) -> Result<(), Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => sqlite_exec(conn, sql, params).map(drop),
            TxInner::Postgres(tx, riders) => {
                apart(tx, riders, sql).await?;
                riders.take_on::<0>(sql, sql.postgres, params, &[])
            }
        }
    }

    /// As [`Tx::exec_many`], for rows that nobody counts: on PostgreSQL in the round trip of what comes next.
    pub(crate) async fn exec_many_along<'p, const N: usize>(
        &mut self,
        sql: Sql,
        fixed: &[Param<'p>],
        rows: &[[Param<'p>; N]],
    ) -> Result<(), Error> {
        match &mut self.inner {
            TxInner::Sqlite(_) => self.exec_many(sql, fixed, rows).await.map(drop),
            TxInner::Postgres(..) if rows.is_empty() => Ok(()),
            TxInner::Postgres(tx, riders) => {
                apart(tx, riders, sql).await?;
                riders.take_on(sql, sql.postgres, fixed, rows)
            }
        }
    }

    /// As [`Tx::exec_many`], for a statement that answers with rows, each made into a value by `read`.
    pub(crate) async fn all_many<'p, const N: usize, T: Send>(
        &mut self,
        sql: Sql,
        fixed: &[Param<'p>],
        rows: &[[Param<'p>; N]],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error> + Send,
    ) -> Result<Vec<T>, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let mut statement = prepare(conn, sql)?;
                let mut values = Vec::new();
                for row in rows {
                    sqlite_rows(&mut statement, sql, fixed.iter().chain(row), &mut read, &mut values)?;
                }
                Ok(values)
            }
            TxInner::Postgres(..) if rows.is_empty() => Ok(Vec::new()),
            TxInner::Postgres(tx, riders) => {
                alone(tx, riders).await?;
                let values = |arguments: &mut _| pg_columns(arguments, sql.doing, fixed, rows);
                let (text, arguments) = riders.board(sql.postgres.into(), values)?;
                let found = sqlx::query_with(text, arguments)
                    .fetch_all(tx.connection()?)
                    .await
                    .map_err(|e| Error::postgres(sql.doing, e))?;
                found
                    .iter()
                    .map(|row| read(&Row { table: sql.table, inner: RowInner::Postgres(row) }))
                    .collect()
            }
        }
    }

    /// Runs a statement for many rows of parameters and says of each row whether it changed anything. A row begins with the
    /// ids of its key, so many of them, which PostgreSQL's statement, one for all rows, returns when it did; SQLite counts,
    /// which costs it much less.
    pub(crate) async fn changed_many<'p, const N: usize>(
        &mut self,
        sql: Sql,
        key: usize,
        fixed: &[Param<'p>],
        rows: &[[Param<'p>; N]],
    ) -> Result<Vec<bool>, Error> {
        if let TxInner::Sqlite(conn) = &mut self.inner {
            let mut statement = prepare(conn, sql)?;
            let failed = |e| Error::sqlite(sql.doing, e);
            let mut changed = Vec::with_capacity(rows.len());
            for row in rows {
                let n = statement.execute(rusqlite::params_from_iter(fixed.iter().chain(row)));
                changed.push(n.map_err(failed)? > 0);
            }
            return Ok(changed);
        }
        let ids = |row: &Row<'_>| (0..key).map(|column| row.get(column)).collect();
        let mut returned: HashSet<Vec<Uuid>> =
            self.all_many(sql, fixed, rows, ids).await?.into_iter().collect();
        let id = |param: &Param<'_>| if let Param::Uuid(id) = param { *id } else { None };
        // Of rows with the same key the first is the one that did.
        let changed =
            |row: &[Param<'p>; N]| returned.remove(&row.iter().take(key).filter_map(id).collect::<Vec<_>>());
        Ok(rows.iter().map(changed).collect())
    }

    /// Inserts many rows. The text is an INSERT that ends in `VALUES ($1, …, $n)` with an optional `tail`
    /// (`ON CONFLICT …`). PostgreSQL gets the rows as one array per column, so that its text is the same for any number of
    /// them and is parsed once; COPY would be faster by itself, but sqlx leaves Nagle's algorithm on, which holds back its
    /// last message by 40 ms. Says how many rows were inserted.
    pub(crate) async fn insert_many<'p, const N: usize>(
        &mut self,
        sql: Sql,
        tail: &'static str,
        rows: impl IntoIterator<Item = [Param<'p>; N]> + Send,
    ) -> Result<u64, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let text;
                let text = if tail.is_empty() {
                    sql.sqlite
                } else {
                    text = format!("{} {tail}", sql.sqlite);
                    &text
                };
                let mut statement = conn.prepare_cached(text).map_err(|e| Error::sqlite(sql.doing, e))?;
                let mut inserted = 0;
                for row in rows {
                    inserted += statement
                        .execute(rusqlite::params_from_iter(row))
                        .map_err(|e| Error::sqlite(sql.doing, e))?;
                }
                Ok(inserted as u64)
            }
            TxInner::Postgres(tx, riders) => {
                let rows: Vec<_> = rows.into_iter().collect();
                let mut inserted = 0;
                for chunk in chunks(&rows) {
                    let Some(text) = insert_columns(sql, chunk, tail) else { continue };
                    apart(tx, riders, sql).await?;
                    let values = |arguments: &mut _| pg_columns(arguments, sql.doing, &[], chunk);
                    let statement = riders.board(text.into(), values)?;
                    inserted += execute(tx, sql, statement).await?;
                }
                Ok(inserted)
            }
        }
    }

    /// As [`Tx::insert_many`], for rows that nobody counts: on PostgreSQL in the round trip of what comes next.
    pub(crate) async fn insert_many_along<'p, const N: usize>(
        &mut self,
        sql: Sql,
        tail: &'static str,
        rows: impl IntoIterator<Item = [Param<'p>; N]> + Send,
    ) -> Result<(), Error> {
        let TxInner::Postgres(tx, riders) = &mut self.inner else {
            return self.insert_many(sql, tail, rows).await.map(drop);
        };
        let rows: Vec<_> = rows.into_iter().collect();
        for chunk in chunks(&rows) {
            let Some(text) = insert_columns(sql, chunk, tail) else { continue };
            apart(tx, riders, sql).await?;
            riders.take_on(sql, &text, &[], chunk)?;
        }
        Ok(())
    }

    /// All rows of a query, each made into a value by `read`.
    pub(crate) async fn all<T: Send>(
        &mut self,
        sql: Sql,
        params: &[Param<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error> + Send,
    ) -> Result<Vec<T>, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let mut values = Vec::new();
                sqlite_rows(&mut prepare(conn, sql)?, sql, params, &mut read, &mut values)?;
                Ok(values)
            }
            TxInner::Postgres(tx, riders) => {
                alone(tx, riders).await?;
                let (text, arguments) = riders.board(sql.postgres.into(), values(sql.doing, params))?;
                let rows = sqlx::query_with(text, arguments)
                    .fetch_all(tx.connection()?)
                    .await
                    .map_err(|e| Error::postgres(sql.doing, e))?;
                rows.iter()
                    .map(|row| read(&Row { table: sql.table, inner: RowInner::Postgres(row) }))
                    .collect()
            }
        }
    }

    /// The rows of a query until `read` wants no more, and whether it wanted all there were.
    pub(crate) async fn all_while<T: Send>(
        &mut self,
        sql: Sql,
        params: &[Param<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<Option<T>, Error> + Send,
    ) -> Result<(Vec<T>, bool), Error> {
        let mut found = Vec::new();
        match &mut self.inner {
            TxInner::Sqlite(conn) => {
                let failed = |e| Error::sqlite(sql.doing, e);
                let mut statement = prepare(conn, sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
                while let Some(row) = rows.next().map_err(failed)? {
                    match read(&Row { table: sql.table, inner: RowInner::Sqlite(row) })? {
                        Some(value) => found.push(value),
                        None => return Ok((found, false)),
                    }
                }
            }
            TxInner::Postgres(tx, riders) => {
                alone(tx, riders).await?;
                let (text, arguments) = riders.board(sql.postgres.into(), values(sql.doing, params))?;
                let rows = sqlx::query_with(text, arguments)
                    .fetch_all(tx.connection()?)
                    .await
                    .map_err(|e| Error::postgres(sql.doing, e))?;
                for row in &rows {
                    match read(&Row { table: sql.table, inner: RowInner::Postgres(row) })? {
                        Some(value) => found.push(value),
                        None => return Ok((found, false)),
                    }
                }
            }
        }
        Ok((found, true))
    }

    /// The first row of a query, if there is one.
    pub(crate) async fn one<T: Send>(
        &mut self,
        sql: Sql,
        params: &[Param<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error> + Send,
    ) -> Result<Option<T>, Error> {
        Ok(self.all(sql, params, read).await?.into_iter().next())
    }
}

fn prepare(conn: &Connection, sql: Sql) -> Result<rusqlite::CachedStatement<'_>, Error> {
    conn.prepare_cached(sql.sqlite).map_err(|e| Error::sqlite(sql.doing, e))
}

fn sqlite_exec(conn: &Connection, sql: Sql, params: &[Param<'_>]) -> Result<u64, Error> {
    prepare(conn, sql)?
        .execute(rusqlite::params_from_iter(params))
        .map(|n| n as u64)
        .map_err(|e| Error::sqlite(sql.doing, e))
}

fn sqlite_rows<'p, T>(
    statement: &mut rusqlite::CachedStatement<'_>,
    sql: Sql,
    params: impl IntoIterator<Item = &'p Param<'p>>,
    read: &mut impl FnMut(&Row<'_>) -> Result<T, Error>,
    values: &mut Vec<T>,
) -> Result<(), Error> {
    let failed = |e| Error::sqlite(sql.doing, e);
    let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        values.push(read(&Row { table: sql.table, inner: RowInner::Sqlite(row) })?);
    }
    Ok(())
}

async fn execute(tx: &mut Open, sql: Sql, (text, arguments): Statement) -> Result<u64, Error> {
    let done = sqlx::query_with(text, arguments).execute(tx.connection()?).await;
    done.map(|done| done.rows_affected()).map_err(|e| Error::postgres(sql.doing, e))
}

/// Has what rides along go by itself: before a query, which would not see it, and before what is about the same table.
pub(crate) async fn alone(tx: &mut Open, riders: &mut Riders) -> Result<(), Error> {
    match riders.alight() {
        Some((sql, statement)) => execute(tx, sql, statement).await.map(drop),
        None => Ok(()),
    }
}

/// Has what rides along go first where what comes cannot take it.
async fn apart(tx: &mut Open, riders: &mut Riders, sql: Sql) -> Result<(), Error> {
    if riders.fit(sql) { Ok(()) } else { alone(tx, riders).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_before_a_smaller_one_is_noticed() {
        assert!(placeholders_ascend("a = $1 AND b = $2 AND c = $1 AND d = $3 OR e = ?9"));
        assert!(!placeholders_ascend("a = $2 AND b = $1"));
    }
}
