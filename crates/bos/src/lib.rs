//! The edge of the Batch Orchestrator Service: command line, configuration, HTTP, telemetry and wiring.
//!
//! Everything below speaks no HTTP and reads no environment; everything here decides nothing about a batch.

mod suggest;

/// One allocator for Rust and for the C of SQLite: glibc's gives its memory back and takes it again page by page, each time
/// under the lock of the whole address space. See docs/decisions/0007-one-allocator-and-stable-plans.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod audit;
pub mod cli;
pub mod config;
pub mod content_client;
pub mod files;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod metrics;
mod neighbours;
pub mod promote;
pub mod run;
pub mod serve;
pub mod tasks;
pub mod telemetry;
mod tokens;
