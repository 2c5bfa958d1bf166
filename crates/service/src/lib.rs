//! A running service: configuration, the backends that it chooses, the wiring, the Content client and promotion.
//!
//! Everything below reads no environment; the command line above parses arguments and prints.

pub mod backends;
#[cfg(feature = "kafka")]
pub mod companions;
pub mod config;
pub mod content_client;
mod error;
pub mod files;
pub mod promote;
pub mod run;
pub mod settings;

pub use error::Error;
