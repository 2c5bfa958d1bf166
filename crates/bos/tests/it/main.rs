//! Tests of the program from outside: its command line, configuration, HTTP on real sockets, and dependencies.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue has failed"
)]

mod auth;
mod cli;
#[cfg(unix)]
mod documents;
mod host;
mod neighbour;
#[cfg(feature = "kafka")]
mod production;
mod program;
#[cfg(feature = "otlp")]
mod traces;

use testbed::databases;
