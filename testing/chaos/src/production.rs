//! The production mode: several replicas on PostgreSQL and Kafka, companions with injected faults, and faults
//! of every dependency.

mod bus;
mod cluster;
mod crashes;
mod database;
mod fault;
mod flood;
mod nemesis;
mod pause;
mod resources;
mod sessions;
mod story;

pub(crate) use story::Story;
