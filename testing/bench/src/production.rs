//! The rows for the service as in production: on `PostgreSQL` and Kafka, with the companions in a process of their own, and one or
//! several processes of the service. All of these and the load share the same cores.
//!
//! Each measurement begins with an empty database and empty topics. The servers run from the first measurement to the last, and
//! are warmed up before the first, because servers in production run for days.

mod accept;
mod bus;
mod consume;
mod database;
mod finish;
mod first_sight;
mod relay;
mod replicas;
mod simulate;
mod stage;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use crate::{report::Figure, row::Setting};

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Accept a class: batches of 30 at 1, 8 and 32 clients
    AcceptClass,
    /// Send a backlog of 20,000 messages, and keep up with 32 clients
    Relay,
    /// Accept a single essay on an idle system, up to its record in Kafka
    FirstSight,
    /// Apply 100,000 results that wait in Kafka
    Consume,
    /// Finish 200 batches through spellcheck and nlp, and one essay on an idle system
    Finish,
    /// Finish with one, two and three processes; kill one of them
    Replicas,
    /// Run the simulation: seeds per minute
    Simulation,
}

impl Row {
    /// All rows, in the order of the table.
    pub(crate) const ALL: &[Self] = &[
        Self::AcceptClass,
        Self::Relay,
        Self::FirstSight,
        Self::Consume,
        Self::Finish,
        Self::Replicas,
        Self::Simulation,
    ];

    pub(crate) fn measure(self, place: &Place<'_>) -> Result<Vec<Figure>> {
        match self {
            Self::AcceptClass => accept::measure(place),
            Self::Relay => relay::measure(place),
            Self::FirstSight => first_sight::measure(place),
            Self::Consume => consume::measure(place),
            Self::Finish => finish::measure(place),
            Self::Replicas => replicas::measure(place),
            Self::Simulation => simulate::measure(place),
        }
    }
}

/// The fewest turns of the warm-up; chosen.
const WARM_UP_LEAST: u32 = 8;
/// The most turns of the warm-up; chosen.
const WARM_UP_MOST: u32 = 20;
/// A turn with less than this times the best rate so far ends the warm-up; chosen.
const FASTER: f64 = 1.03;

/// The servers and programs with which the rows are measured.
pub(crate) struct Place<'a> {
    pub(crate) setting: &'a Setting<'a>,
    /// The URL of a server whose user may create databases.
    pub(crate) postgres: &'a str,
    /// The address of a Kafka that only this run uses, as `host:port`.
    pub(crate) kafka: &'a str,
    /// The program of `cargo xtask simulate`.
    pub(crate) simulation: &'a Path,
}

impl Place<'_> {
    /// Works without measuring until the rate no longer rises.
    ///
    /// The reason is Kafka: a new Java process compiles its code while it runs, on the same cores, for about half a minute.
    pub(crate) fn warm_up(&self) -> Result<()> {
        let mut stage = stage::Stage::new(self)?;
        let _companions = stage.companions(&[])?;
        let replica = stage.replica()?;
        let mut best = 0.0_f64;
        for turn in 1..=WARM_UP_MOST {
            let rate = finish::run(&mut stage, &[replica.address], self.setting.size(150, 50))?;
            if turn >= WARM_UP_LEAST && rate < best * FASTER {
                break;
            }
            best = best.max(rate);
        }
        Ok(())
    }
}

/// The figure of resident memory, with one value per round; none on systems that do not report it.
fn memory(what: &str, values: Vec<f64>) -> Figure {
    use crate::report::Target;
    let most = if what.starts_with("idle") { 60.0 } else { 200.0 };
    Figure::new("memory", what, "MiB", values).must(Target::AtMost(most))
}
