//! The rows for the embedded service, one file each. A row starts the processes that it needs, measures its limit in the same
//! rounds, and ends the processes.

mod accept;
pub(crate) mod finish;
mod growth;
pub(crate) mod idle;
mod start;
mod status;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{limit::postgres::Pgbench, report::Figure};

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Accept a class: batches of 30 at 1, 8 and 32 clients
    AcceptClass,
    /// Accept single essays at 32 clients
    AcceptEssay,
    /// Accept a single essay on an idle system, up to its record on the bus
    EssayToBus,
    /// Finish 200 batches through spellcheck and nlp; memory and disk afterwards
    Finish,
    /// Finish one essay through two phases on an idle system
    TwoPhases,
    /// Poll the status of batches of 30 and 2,000, at rest and under way
    Status,
    /// Start the program until it is ready; its memory then
    Start,
    /// Finish again with 10 and 30 times the ended batches in the file
    Growth,
}

impl Row {
    /// All rows, in the order of the table.
    pub(crate) const ALL: &[Self] = &[
        Self::AcceptClass,
        Self::AcceptEssay,
        Self::EssayToBus,
        Self::Finish,
        Self::TwoPhases,
        Self::Status,
        Self::Start,
        Self::Growth,
    ];

    pub(crate) fn measure(self, setting: &Setting<'_>) -> Result<Vec<Figure>> {
        match self {
            Self::AcceptClass => accept::classes(setting),
            Self::AcceptEssay => accept::essays(setting),
            Self::EssayToBus => idle::essay_to_bus(setting),
            Self::Finish => finish::measure(setting),
            Self::TwoPhases => idle::two_phases(setting),
            Self::Status => status::measure(setting),
            Self::Start => start::measure(setting),
            Self::Growth => growth::measure(setting),
        }
    }
}

/// The settings of all rows.
pub(crate) struct Setting<'a> {
    /// The program `bos` of the release build.
    pub(crate) bos: &'a Path,
    /// The folder for data, on the disk that is measured.
    pub(crate) data: &'a Path,
    /// Measures the batch rate; `None` without pgbench.
    pub(crate) pgbench: Option<&'a Pgbench>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
}

impl Setting<'_> {
    /// The size of a full run or of a quick run.
    pub(crate) fn size<T>(&self, real: T, quick: T) -> T {
        if self.quick { quick } else { real }
    }

    /// The counted time of one load.
    pub(crate) fn load_time(&self) -> Duration {
        Duration::from_secs(self.size(4, 1))
    }

    /// Makes an empty folder, which exists until the end of the run.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Measures the batch rate; `None` without pgbench.
    pub(crate) fn batch_rate(&self) -> Result<Option<f64>> {
        self.pgbench.map(|pgbench| pgbench.batch_rate(self.size(5, 2))).transpose()
    }
}

/// Adds a limit to a figure, if the limit was measured.
pub(crate) fn beside(figure: Figure, what: &'static str, values: Vec<f64>) -> Figure {
    if values.is_empty() { figure } else { figure.beside(what, values) }
}
