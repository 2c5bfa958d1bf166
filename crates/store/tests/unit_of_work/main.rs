//! What a unit guarantees, seen from outside: cancelled callers, processes that share a file, retried units.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure of the test")]

mod callers;
mod files;
mod retries;

use testbed::databases;
