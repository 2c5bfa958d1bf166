//! What is written, what is read, and what the platform's own models say of both.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail as tests do"
)]

mod fixtures;
mod hostile;
mod readers;
mod samples;
mod schemas;
mod writers;
