//! The rows of the service as it runs in production: on `PostgreSQL` and Kafka, beside neighbours of their own process, one
//! or several processes of it; all of that and the load on the same cores.
//!
//! Each measurement begins with an empty database and empty topics. The servers are the same from the first to the last, and
//! have worked for a while before anything counts, as servers of a school's platform have.

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
    /// A single essay on an idle system, up to its record in Kafka
    FirstSight,
    /// Apply 100,000 results that wait in Kafka
    Consume,
    /// Finish 200 batches through spellcheck and nlp, and one essay on an idle system
    Finish,
    /// Finish with one, two and three processes; kill one of them
    Replicas,
    /// Runs of the simulation in a minute
    Simulation,
}

impl Row {
    /// All of them, in the order of the table.
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

/// Turns of the warm-up, and what makes one faster than those before.
const WARM_UP_LEAST: u32 = 8;
const WARM_UP_MOST: u32 = 20;
const FASTER: f64 = 1.03;

/// Where the rows are measured.
pub(crate) struct Place<'a> {
    pub(crate) setting: &'a Setting<'a>,
    /// A server whose user may make databases.
    pub(crate) postgres: &'a str,
    /// Where a Kafka is that is there for this alone, as `host:port`.
    pub(crate) kafka: &'a str,
    /// The program of `cargo xtask simulate`.
    pub(crate) simulation: &'a Path,
}

impl Place<'_> {
    /// Work that does not count, for as long as it gets faster: a Java that has just begun translates what it runs while it
    /// runs it, on the same cores, and takes half a minute for that.
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

/// Resident memory of a process after a load, of which each round has one or, where the system does not say, none.
fn memory(what: &str, values: Vec<f64>) -> Figure {
    use crate::report::Target;
    let most = if what.starts_with("idle") { 60.0 } else { 200.0 };
    Figure::new("memory", what, "MiB", values).must(Target::AtMost(most))
}
