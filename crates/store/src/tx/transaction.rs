//! A connection inside an open transaction, and how statements run on it.

use crate::error::Error;
use crate::sql::Sql;
use crate::sqlx;
use crate::sqlx::postgres::{PgConnection, PgRow};
use crate::tx::deferred::{DeferredWrites, Statement};

/// A connection inside a transaction. Dropping it closes the connection, which rolls back; the pool gets it back only after
/// [`OpenTransaction::release`].
pub(crate) struct OpenTransaction(Option<sqlx::PoolConnection<sqlx::Postgres>>);

impl OpenTransaction {
    /// Wraps a connection before a transaction is begun on it.
    pub(crate) const fn new(connection: sqlx::PoolConnection<sqlx::Postgres>) -> Self {
        Self(Some(connection))
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        let gone = || Error::postgres("use a transaction that has ended", sqlx::Error::WorkerCrashed);
        self.0.as_deref_mut().ok_or_else(gone)
    }

    /// Returns the connection to its pool, once the transaction has ended.
    pub(crate) fn release(mut self) {
        self.0.take();
    }

    /// Runs a statement and returns the number of changed rows.
    pub(crate) async fn execute(&mut self, sql: Sql, (text, arguments): Statement) -> Result<u64, Error> {
        let done = sqlx::query_with(text, arguments).execute(self.connection()?).await;
        done.map(|done| done.rows_affected()).map_err(|e| Error::postgres(sql.doing, e))
    }

    /// Runs a query and returns its rows.
    pub(crate) async fn fetch_all(
        &mut self,
        sql: Sql,
        (text, arguments): Statement,
    ) -> Result<Vec<PgRow>, Error> {
        let found = sqlx::query_with(text, arguments).fetch_all(self.connection()?).await;
        found.map_err(|e| Error::postgres(sql.doing, e))
    }

    /// Runs the deferred writes now. Needed before a query, which would not see them, and before a statement about one of their
    /// tables.
    pub(crate) async fn flush(&mut self, deferred: &mut DeferredWrites) -> Result<(), Error> {
        match deferred.flush() {
            Some((sql, statement)) => self.execute(sql, statement).await.map(drop),
            None => Ok(()),
        }
    }

    /// Runs the deferred writes now, unless they may be attached to this statement.
    pub(crate) async fn flush_unless_fits(
        &mut self,
        deferred: &mut DeferredWrites,
        sql: Sql,
    ) -> Result<(), Error> {
        if deferred.fits(sql) { Ok(()) } else { self.flush(deferred).await }
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
