//! Keeps the pools on the server that accepts writes. After a failover the address leads to another server, while connections
//! to the former primary may stay open: writes there are refused and reads are outdated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::Error;
use crate::sqlx;
use crate::sqlx::postgres::{PgConnection, PgPoolOptions};

/// Whether the session refuses writes, as every session of a standby does.
const READ_ONLY: &str = "SELECT current_setting('transaction_read_only') = 'on'";

/// Whether the session refuses writes.
pub(super) async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(READ_ONLY).fetch_one(connection).await
}

/// Detects servers that refuse writes. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub(super) struct PrimaryGuard {
    /// When a server last refused a write. Connections older than this may lead to it.
    refused: Arc<Mutex<Option<Instant>>>,
}

impl PrimaryGuard {
    /// Makes a pool reject servers that refuse writes and close its connections to a former primary.
    pub(super) fn guard(&self, pool: PgPoolOptions) -> PgPoolOptions {
        let known = self.clone();
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                if is_read_only(connection).await? {
                    Err(sqlx::Error::Protocol("the server accepts no writes".to_owned()))
                } else {
                    Ok(())
                }
            })
        })
        .before_acquire(move |_, connection| {
            let is_newer = known.last_refusal().is_none_or(|refused| refused.elapsed() > connection.age);
            Box::pin(async move { Ok(is_newer) })
        })
    }

    /// Records a unit's error, if it says that the server refuses writes.
    pub(super) fn observe(&self, error: &Error) {
        if error.is_read_only_server() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn last_refusal(&self) -> Option<Instant> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
