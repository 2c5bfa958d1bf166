//! Tests of the configuration's layers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config;
