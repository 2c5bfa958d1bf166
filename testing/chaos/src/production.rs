//! The service on PostgreSQL and Kafka: several replicas, neighbours that misbehave, and faults of every part.

mod bus;
mod cluster;
mod crashes;
mod database;
mod fault;
mod flood;
mod nemesis;
mod resources;
mod sessions;
mod story;

pub(crate) use story::Story;
