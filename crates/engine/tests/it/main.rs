//! The engine with SQLite, the embedded bus, and either the embedded companions in instant mode or fakes that a test scripts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test reports the line")]

mod bus;
mod crashes;
mod deadlines;
mod installation;
mod lifecycle;
mod manual_engine;
mod redrive;
mod relay;
mod road;
mod storing;
mod traces;
