//! The health of a database, as operators see it.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// PostgreSQL's name of UTF-8.
pub(crate) const UTF8: &str = "UTF8";

/// The health of a database. Problems that prevent a start are errors of connecting instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Product and version.
    pub server: String,
    /// The encoding of its texts; PostgreSQL calls UTF-8 `UTF8`.
    pub encoding: String,
    /// Settings with which the server may lose acknowledged commits.
    pub unsafe_settings: Vec<&'static str>,
    /// Whether it refuses writes: a standby, or one with `default_transaction_read_only`.
    pub read_only: bool,
    /// Tables on which the database role lacks a right that the service needs.
    pub denied: Vec<String>,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Open client connections and the maximum; `None` on SQLite.
    pub connections: Option<(i64, i64)>,
    /// Age of the oldest open transaction. Vacuum cannot remove rows that were deleted since it began. `None` on SQLite or if
    /// no transaction is open.
    pub oldest_transaction: Option<Duration>,
    /// Days after today that have a partition of `outbox_sent`; `None` on SQLite.
    pub days_ahead: Option<i64>,
}

impl Health {
    /// Whether the database can store every text. Another encoding than UTF-8 has no form for some characters.
    pub fn has_all_characters(&self) -> bool {
        self.encoding == UTF8
    }
}
