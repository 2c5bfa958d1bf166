//! Keeping to the server that takes writes. After a failover its address leads to another one, while connections to the one
//! before may live on: what is written there is refused, and what is read there is old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::Error;
use crate::sqlx;
use crate::sqlx::postgres::PgPoolOptions;

/// Whether a session can write; a standby never says so.
const READ_ONLY: &str = "SELECT current_setting('transaction_read_only') = 'on'";

/// What is known of the server that takes writes. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Primary {
    /// When a server last refused a write: connections that are older lead to it.
    refused: Arc<Mutex<Option<Instant>>>,
}

impl Primary {
    /// Has a pool connect to no other server, and give up its connections to one that was the primary.
    pub(super) fn kept_to(&self, pool: PgPoolOptions) -> PgPoolOptions {
        let known = self.clone();
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                let read_only: bool = sqlx::query_scalar(READ_ONLY).fetch_one(connection).await?;
                if read_only {
                    Err(sqlx::Error::Protocol("the server takes no writes".to_owned()))
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

    /// Takes note of what a unit met.
    pub(super) fn met(&self, error: &Error) {
        if error.is_of_a_read_only_server() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn last_refusal(&self) -> Option<Instant> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
