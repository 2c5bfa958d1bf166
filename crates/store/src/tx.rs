//! One open transaction, and the ways to run a statement in it.
//!
//! Both databases are reached through the same methods: each takes an [`Sql`], which has the text for either one.

mod bulk;
pub(crate) mod deferred;
pub(crate) mod transaction;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use uuid::Uuid;

use crate::error::Error;
use crate::param::{Param, pg_columns};
use crate::row::{Row, RowInner};
use crate::sql::Sql;
use crate::tx::bulk::{chunks, insert_columns};
use crate::tx::deferred::{DeferredWrites, values};
use crate::tx::transaction::OpenTransaction;

/// The open transaction of a unit or of a read. A unit awaits nothing else.
pub struct Tx {
    pub(crate) inner: TxInner,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) enum TxInner {
    Sqlite(Connection),
    Postgres(OpenTransaction, DeferredWrites),
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
    /// The time of this unit, read once at its start: from the server (PostgreSQL) or from the store's clock (SQLite).
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Whether this is SQLite, where one statement cannot change two tables.
    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.inner, TxInner::Sqlite(_))
    }

    /// Runs a statement and returns the number of changed rows.
    pub(crate) async fn exec(&mut self, sql: Sql, params: &[Param<'_>]) -> Result<u64, Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => sqlite_exec(conn, sql, params),
            TxInner::Postgres(tx, deferred) => {
                tx.flush_unless_fits(deferred, sql).await?;
                let statement = deferred.attach(sql.postgres.into(), values(sql.doing, params))?;
                tx.execute(sql, statement).await
            }
        }
    }

    /// Runs a statement for many rows of parameters and returns the total number of changed rows.
    ///
    /// PostgreSQL gets one statement: the `fixed` parameters come first, then the rows as one array per column (`UNNEST`).
    /// SQLite has no round trips to save and runs a prepared statement per row, which is its fastest form of bulk write.
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
            TxInner::Postgres(tx, deferred) => {
                tx.flush_unless_fits(deferred, sql).await?;
                let values = |arguments: &mut _| pg_columns(arguments, sql.doing, fixed, rows);
                let statement = deferred.attach(sql.postgres.into(), values)?;
                tx.execute(sql, statement).await
            }
        }
    }

    /// As [`Tx::exec`], without a row count: on PostgreSQL the write is deferred and sent with the next statement.
    pub(crate) async fn exec_deferred(&mut self, sql: Sql, params: &[Param<'_>]) -> Result<(), Error> {
        match &mut self.inner {
            TxInner::Sqlite(conn) => sqlite_exec(conn, sql, params).map(drop),
            TxInner::Postgres(tx, deferred) => {
                tx.flush_unless_fits(deferred, sql).await?;
                deferred.push::<0>(sql, sql.postgres, params, &[])
            }
        }
    }

    /// As [`Tx::exec_many`], without a row count: on PostgreSQL the write is deferred and sent with the next statement.
    pub(crate) async fn exec_many_deferred<'p, const N: usize>(
        &mut self,
        sql: Sql,
        fixed: &[Param<'p>],
        rows: &[[Param<'p>; N]],
    ) -> Result<(), Error> {
        match &mut self.inner {
            TxInner::Sqlite(_) => self.exec_many(sql, fixed, rows).await.map(drop),
            TxInner::Postgres(..) if rows.is_empty() => Ok(()),
            TxInner::Postgres(tx, deferred) => {
                tx.flush_unless_fits(deferred, sql).await?;
                deferred.push(sql, sql.postgres, fixed, rows)
            }
        }
    }

    /// As [`Tx::exec_many`], for a statement that returns rows, each converted by `read`.
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
            TxInner::Postgres(tx, deferred) => {
                tx.flush(deferred).await?;
                let values = |arguments: &mut _| pg_columns(arguments, sql.doing, fixed, rows);
                let statement = deferred.attach(sql.postgres.into(), values)?;
                let found = tx.fetch_all(sql, statement).await?;
                found
                    .iter()
                    .map(|row| read(&Row { table: sql.table, inner: RowInner::Postgres(row) }))
                    .collect()
            }
        }
    }

    /// Runs a statement for many rows of parameters and reports for each row whether it changed anything.
    ///
    /// The first `key` parameters of a row are the UUIDs that identify it. On PostgreSQL, one statement for all rows must
    /// return these UUIDs of each changed row. SQLite counts changed rows per statement, which is much cheaper there.
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
        // Of several rows with the same key, the first one counts as changed.
        let changed =
            |row: &[Param<'p>; N]| returned.remove(&row.iter().take(key).filter_map(id).collect::<Vec<_>>());
        Ok(rows.iter().map(changed).collect())
    }

    /// Inserts many rows and returns how many were inserted. The text is an INSERT that ends in `VALUES ($1, …, $n)`; `tail` is
    /// empty or an `ON CONFLICT …` clause.
    ///
    /// PostgreSQL gets the rows as one array per column, so that the text is the same for any number of rows and is parsed
    /// once. COPY alone is faster, but sqlx leaves Nagle's algorithm on, which delays COPY's last message by 40 ms.
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
            TxInner::Postgres(tx, deferred) => {
                let rows: Vec<_> = rows.into_iter().collect();
                let mut inserted = 0;
                for chunk in chunks(&rows) {
                    let Some(text) = insert_columns(sql, chunk, tail) else { continue };
                    tx.flush_unless_fits(deferred, sql).await?;
                    let values = |arguments: &mut _| pg_columns(arguments, sql.doing, &[], chunk);
                    let statement = deferred.attach(text.into(), values)?;
                    inserted += tx.execute(sql, statement).await?;
                }
                Ok(inserted)
            }
        }
    }

    /// As [`Tx::insert_many`], without a row count: on PostgreSQL the rows are deferred and sent with the next statement.
    pub(crate) async fn insert_many_deferred<'p, const N: usize>(
        &mut self,
        sql: Sql,
        tail: &'static str,
        rows: impl IntoIterator<Item = [Param<'p>; N]> + Send,
    ) -> Result<(), Error> {
        let TxInner::Postgres(tx, deferred) = &mut self.inner else {
            return self.insert_many(sql, tail, rows).await.map(drop);
        };
        let rows: Vec<_> = rows.into_iter().collect();
        for chunk in chunks(&rows) {
            let Some(text) = insert_columns(sql, chunk, tail) else { continue };
            tx.flush_unless_fits(deferred, sql).await?;
            deferred.push(sql, &text, &[], chunk)?;
        }
        Ok(())
    }

    /// All rows of a query, each converted by `read`.
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
            TxInner::Postgres(tx, deferred) => {
                tx.flush(deferred).await?;
                let statement = deferred.attach(sql.postgres.into(), values(sql.doing, params))?;
                let rows = tx.fetch_all(sql, statement).await?;
                rows.iter()
                    .map(|row| read(&Row { table: sql.table, inner: RowInner::Postgres(row) }))
                    .collect()
            }
        }
    }

    /// The rows of a query until `read` returns `None`, and whether all rows were read.
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
            TxInner::Postgres(tx, deferred) => {
                tx.flush(deferred).await?;
                let statement = deferred.attach(sql.postgres.into(), values(sql.doing, params))?;
                let rows = tx.fetch_all(sql, statement).await?;
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
