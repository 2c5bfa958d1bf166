//! Tests of the edge through its front door: the configuration's layers, real sockets, the problem pages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod auth;
mod cli;
mod host;
mod neighbour;
#[cfg(feature = "kafka")]
mod production;
mod program;
#[cfg(feature = "otlp")]
mod traces;

use testbed::databases;
