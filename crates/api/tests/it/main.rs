//! Tests of the API through its router and its accept loop.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod json;
mod problems;
mod query;
mod serving;

use std::time::Duration;

use testbed::databases;

/// The longest time that a test waits for an event that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
