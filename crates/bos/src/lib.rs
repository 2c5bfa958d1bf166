//! The edge of the Batch Orchestrator Service: command line, configuration, HTTP, telemetry and wiring.
//!
//! Everything below speaks no HTTP and reads no environment; everything here decides nothing about a batch.

mod suggest;

pub mod cli;
pub mod config;
pub mod content_client;
pub mod files;
pub mod http;
pub mod metrics;
pub mod run;
pub mod serve;
pub mod tasks;
pub mod telemetry;
