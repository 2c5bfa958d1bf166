//! The road with real neighbours: SQLite, the embedded log, the embedded companions in instant mode.

mod crashes;
mod road;
mod world;
