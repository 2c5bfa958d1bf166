//! Tests of the edge through its front door: the configuration's layers, real sockets, the problem pages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod auth;
mod cli;
#[path = "../../../store/tests/support/databases.rs"]
#[expect(dead_code, reason = "these tests need PostgreSQL alone")]
mod databases;
mod host;
mod neighbour;
#[cfg(feature = "kafka")]
mod production;
mod program;
#[cfg(feature = "otlp")]
mod traces;
