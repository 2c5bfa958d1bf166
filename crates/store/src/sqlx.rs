//! The parts of sqlx that this crate uses, under the names they have in the `sqlx` crate.
//!
//! The `sqlx` crate cannot be used beside a current `rusqlite`: cargo resolves its optional SQLite driver even if it is
//! disabled, and that driver needs an older `libsqlite3-sys`, of which only one version may be linked.

pub(crate) use sqlx_core::arguments::Arguments;
pub(crate) use sqlx_core::connection::Connection;
#[cfg(test)]
pub(crate) use sqlx_core::error::ErrorKind;
pub(crate) use sqlx_core::error::{DatabaseError, Error, Result};
pub(crate) use sqlx_core::pool::PoolConnection;
pub(crate) use sqlx_core::query::{query, query_with};
pub(crate) use sqlx_core::query_as::query_as;
pub(crate) use sqlx_core::query_scalar::query_scalar;
pub(crate) use sqlx_core::raw_sql::raw_sql;
pub(crate) use sqlx_core::row::Row;
pub(crate) use sqlx_core::sql_str::{AssertSqlSafe, SqlSafeStr, SqlStr};
pub(crate) use sqlx_core::types;
pub(crate) use sqlx_postgres::{self as postgres, PgConnection, PgPool, Postgres};
