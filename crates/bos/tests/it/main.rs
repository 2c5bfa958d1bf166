//! Tests of the edge through its front door: the configuration's layers, real sockets, the problem pages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod auth;
mod cli;
mod config;
mod host;
mod json;
mod neighbour;
mod problems;
#[cfg(feature = "kafka")]
mod production;
mod program;
mod query;
mod serving;
#[cfg(feature = "otlp")]
mod traces;

use testbed::databases;
