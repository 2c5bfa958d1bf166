//! What a unit promises, seen from outside: callers that go away, processes that share a file, units that are run again.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

#[path = "../support/databases.rs"]
#[expect(dead_code, reason = "these tests name their database")]
mod databases;

mod callers;
mod files;
mod reruns;
