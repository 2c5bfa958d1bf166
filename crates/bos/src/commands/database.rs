//! Operators' commands on the database and Kafka.

#[cfg(feature = "kafka")]
pub(crate) mod audit;
mod backend;
pub(crate) mod dead_letter;
pub(crate) mod doctor;
pub(crate) mod migrate;
pub(crate) mod outbox;
pub(crate) mod promote;
pub(crate) mod token;
#[cfg(feature = "kafka")]
pub(crate) mod topics;
