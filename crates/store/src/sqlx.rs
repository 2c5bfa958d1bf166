//! The parts of sqlx that this crate uses, by the names they have in the `sqlx` crate.
//!
//! The `sqlx` crate itself cannot stand beside a current `rusqlite`: its SQLite driver, though switched off, takes part in
//! the choice of versions and wants an older `libsqlite3-sys`, and cargo allows one. The driver for PostgreSQL does not.

pub(crate) use sqlx_core::arguments::Arguments;
pub(crate) use sqlx_core::connection::Connection;
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
