//! Tests of the writers, of the readers, and of both against the platform's own models.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "test helpers may panic")]

mod fixtures;
mod hostile;
mod readers;
mod samples;
mod schemas;
mod writers;
