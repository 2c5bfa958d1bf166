//! The road with real neighbours: SQLite, the embedded log, the embedded companions in instant mode.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod bus;
mod crashes;
mod deadlines;
mod desk;
mod redrive;
mod relay;
mod road;
mod storing;
mod traces;
mod world;
