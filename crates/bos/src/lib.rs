//! The edge of the Batch Orchestrator Service: command line, configuration, HTTP, telemetry and wiring.
//!
//! Everything below speaks no HTTP and reads no environment; everything here decides nothing about a batch.

mod suggest;

pub mod cli;
pub mod config;
pub mod http;
pub mod metrics;
pub mod serve;
pub mod tasks;
pub mod telemetry;
