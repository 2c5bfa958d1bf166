//! A simulation of the engine under injected faults, one turn at a time.
//!
//! It runs the real engine on SQLite, with a simulated bus, Content Service, peers, caller and clock. A seed
//! draws everything: what is submitted, which task of the engine takes its next turn, which fault happens at
//! each port (in the style of Temporal: `Error`, `Timeout`, `ExecuteAndTimeout`, `Unavailable`, `Delay`,
//! `Duplicate`, `Reorder`, `Crash`), and when the process dies. One thing happens at a time, and time passes
//! only between two turns, so a seed always gives the same run.
//!
//! A run has two stages. With faults on, the invariants of safety are checked after every turn. Then the
//! faults are off, and everything has to end. [`check`] lists the invariants and [`chance`] the faults.

pub mod bus;
pub mod chance;
pub mod check;
pub mod client;
pub mod clock;
pub mod content;
pub mod observed;
pub mod operator;
pub mod peers;
pub mod process;
pub mod processes;
pub mod report;
pub mod run;
pub mod runs;
pub mod watchdog;

/// A deliberate defect that the checker must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The bus acknowledges records and drops them.
    LosesAcknowledged,
    /// The bus appends events that were never committed.
    InventsEvents,
    /// The bus changes the bytes of events.
    ChangesBytes,
    /// The bus acknowledges a record and appends it after the next one of its ordering key.
    Overtakes,
    /// The offset is committed before the database is.
    AdvancesFirst,
    /// No timer ever fires.
    ForgetsTimers,
    /// The Content Service never answers within a turn.
    NeverAnswers,
}
