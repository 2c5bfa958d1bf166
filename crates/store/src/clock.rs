//! The clock that a store is opened with.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// The clock of SQLite units and reads. PostgreSQL takes the time from the server instead.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;
