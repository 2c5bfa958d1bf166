//! The engine under faults that a seed draws, one turn at a time.
//!
//! The real engine on SQLite, with a bus, a Content Service, neighbours, a caller and a clock that do only what the run tells
//! them to. A seed draws everything: what is handed in, which of the engine's tasks takes its next turn, what goes wrong at each
//! port (in the style of Temporal: `Error`, `Timeout`, `ExecuteAndTimeout`, `Unavailable`, `Delay`, `Duplicate`, `Reorder`, `Crash`), when the
//! process dies. One thing happens at a time, and time passes only between two turns, so a seed is the same run each time.
//!
//! A run has two stages. With faults on, safety is checked after every turn; then they are off, and everything has to come to its
//! end. See [`check`] for what must hold, and [`chance`] for what goes wrong.

pub mod bus;
pub mod chance;
pub mod check;
pub mod client;
pub mod clock;
pub mod content;
pub mod installation;
pub mod neighbours;
pub mod operator;
pub mod processes;
pub mod report;
pub mod runs;
pub mod story;
pub mod watchdog;

/// Something broken on purpose, which the checks must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The bus acknowledges records and drops them.
    LosesAcknowledged,
    /// Something gets onto the bus that was never committed.
    InventsEvents,
    /// The bytes of an event change on their way.
    ChangesBytes,
    /// A record is acknowledged and overtaken by the next one of its ordering key.
    Overtakes,
    /// The place on the bus is committed before the database is.
    AdvancesFirst,
    /// No timer ever fires.
    ForgetsTimers,
    /// The Content Service is asked again and again within one turn.
    NeverAnswers,
}
