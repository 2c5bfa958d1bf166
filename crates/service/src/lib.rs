//! A running service: configuration, the backends that it chooses, the wiring, the Content client and promotion.
//!
//! Only `config` reads the environment: the other crates get their settings as values ([`settings`]). Command-line arguments
//! and output belong to the crate `bos`.

pub mod backends;
#[cfg(feature = "kafka")]
pub mod companions;
pub mod config;
pub mod content_client;
mod error;
pub mod files;
pub mod lifecycle_client;
pub mod promote;
pub mod run;
pub mod settings;

pub use error::Error;
