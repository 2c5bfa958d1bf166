//! The rows of the table of numbers, one file each. A row starts what it needs, measures its limit in the same rounds, and
//! leaves nothing running.

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
    /// One essay through two phases on an idle system
    TwoPhases,
    /// Poll the status of batches of 30 and 2,000, at rest and under way
    Status,
    /// From the start of the program to readiness, and its memory then
    Start,
    /// Finish again with 10 and 30 times the ended batches in the file
    Growth,
}

impl Row {
    /// All of them, in the order of the table.
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

/// What all rows share.
pub(crate) struct Setting<'a> {
    /// The program as users have it.
    pub(crate) bos: &'a Path,
    /// A folder for data, on the disk that is measured.
    pub(crate) data: &'a Path,
    /// For the batch rate, when there is one.
    pub(crate) pgbench: Option<&'a Pgbench>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
}

impl Setting<'_> {
    /// One number for a real run, another for a look.
    pub(crate) fn size<T>(&self, real: T, quick: T) -> T {
        if self.quick { quick } else { real }
    }

    /// How long one load lasts.
    pub(crate) fn load_time(&self) -> Duration {
        Duration::from_secs(self.size(4, 1))
    }

    /// A folder that is empty and stays until the run ends.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// One value of the batch rate, or none without pgbench.
    pub(crate) fn batch_rate(&self) -> Result<Option<f64>> {
        self.pgbench.map(|pgbench| pgbench.batch_rate(self.size(5, 2))).transpose()
    }
}

/// A figure beside a limit that may not have been measured.
pub(crate) fn beside(figure: Figure, what: &'static str, values: Vec<f64>) -> Figure {
    if values.is_empty() { figure } else { figure.beside(what, values) }
}
