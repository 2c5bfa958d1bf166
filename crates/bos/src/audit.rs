//! What the topics and the database say about each other, from outside: for `bos audit`, and for tests that break things.

#[cfg(feature = "kafka")]
pub mod topics;
