//! The report: figures with their limits, on the terminal, as JSON, and as a Markdown table.
//!
//! A figure has one value per round, and so has its limit, measured in the same minute. The ratio is the median of the ratios of
//! the rounds, so that a change in the machine's speed between rounds does not affect it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, TableStyle, presets};
use serde::Serialize;

/// The target of a figure.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The figure is at most this.
    AtMost(f64),
    /// The figure is at least this many times its limit.
    TimesLimit(f64),
    /// The figure is at most this many times its limit.
    AtMostTimesLimit(f64),
    /// The figure is at least this.
    AtLeast(f64),
}

/// The limit with which a figure is compared.
#[derive(Clone, Serialize)]
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    pub(crate) values: Vec<f64>,
}

/// One line of the report.
#[derive(Clone, Serialize)]
pub(crate) struct Figure {
    /// The row of the table.
    pub(crate) row: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
    pub(crate) limit: Option<Limit>,
    pub(crate) target: Option<Target>,
}

impl Figure {
    pub(crate) fn new(
        row: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        values: Vec<f64>,
    ) -> Self {
        Self { row, what: what.into(), unit, values, limit: None, target: None }
    }

    /// Adds the limit, which was measured in the same unit and the same rounds.
    pub(crate) fn beside(mut self, what: &'static str, values: Vec<f64>) -> Self {
        self.limit = Some(Limit { what, values });
        self
    }

    pub(crate) fn must(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.values)
    }

    /// The median of the rounds' ratios to the limit.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let limit = self.limit.as_ref()?;
        let ratios: Vec<_> =
            self.values.iter().zip(&limit.values).map(|(value, limit)| value / limit).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// Whether it meets its target; `None` without a target, or if the limit was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::AtMost(most) => self.median() <= most,
            Target::TimesLimit(times) => self.ratio()? >= times,
            Target::AtMostTimesLimit(times) => self.ratio()? <= times,
            Target::AtLeast(least) => self.median() >= least,
        })
    }

    fn cells(&self) -> [String; 7] {
        let limit = self.limit.as_ref().map_or_else(String::new, |limit| {
            format!("{} {}: {}", number(median(&limit.values)), self.unit, limit.what)
        });
        let target = self.target.map_or_else(String::new, |target| match target {
            Target::AtMost(most) => format!("≤ {} {}", number(most), self.unit),
            Target::TimesLimit(times) => format!("≥ {times} × limit"),
            Target::AtMostTimesLimit(times) => format!("≤ {times} × limit"),
            Target::AtLeast(least) => format!("≥ {} {}", number(least), self.unit),
        });
        let met = match (self.target, self.is_met()) {
            (None, _) => "",
            (Some(_), Some(true)) => "yes",
            (Some(_), Some(false)) => "NO",
            (Some(_), None) => "not measured",
        };
        [
            self.row.to_owned(),
            self.what.clone(),
            format!("{} {}", number(self.median()), self.unit),
            limit,
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            target,
            met.to_owned(),
        ]
    }
}

const TITLES: [&str; 7] = ["row", "what", "measured", "limit", "ratio", "must reach", "met"];

/// The figures of one run.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    /// The path of the report without extension.
    #[serde(skip)]
    path: PathBuf,
    /// The kind of the machine.
    pub(crate) machine: String,
    /// How the companions worked.
    pub(crate) companions: &'static str,
    pub(crate) rounds: usize,
    /// Whether the sizes were small. The figures of such a run are not for publication.
    pub(crate) quick: bool,
    pub(crate) figures: Vec<Figure>,
    /// The rows that could not be measured, with the reason.
    pub(crate) left_out: Vec<String>,
}

impl Report {
    /// An empty report, to be written to this folder under this name.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(name), ..Self::default() }
    }

    /// The file with this extension.
    pub(crate) fn file(&self, ending: &str) -> PathBuf {
        self.path.with_extension(ending)
    }

    /// Measures a row, adds its figures, and writes the report so far.
    pub(crate) fn measured(
        &mut self,
        row: &impl ValueEnum,
        measure: impl FnOnce() -> Result<Vec<Figure>>,
    ) -> Result<()> {
        let begun = Instant::now();
        let name = row.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let figures = measure().with_context(|| format!("measuring {name}"))?;
        eprintln!("measured {name} in {:.0} s", begun.elapsed().as_secs_f64());
        self.figures.extend(figures);
        fs::write(self.file("json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(self.file("md"), self.markdown())?;
        Ok(())
    }

    /// The table for a terminal.
    pub(crate) fn table(&self) -> String {
        self.laid_out(presets::UTF8_HORIZONTAL_ONLY)
    }

    /// The table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        self.laid_out(presets::ASCII_MARKDOWN)
    }

    fn laid_out(&self, style: TableStyle) -> String {
        let mut table = Table::new();
        table.load_style(style).set_header(TITLES);
        for figure in &self.figures {
            table.add_row(figure.cells());
        }
        for column in [2, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |at: usize| sorted.get(at).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => middle(length / 2),
        length => f64::midpoint(middle(length / 2 - 1), middle(length / 2)),
    }
}

/// A number with about three significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[f64]) -> Figure {
        Figure::new("accept", "32 clients", "batches/s", values.to_vec())
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_slower_machine_changes_the_figures_and_not_the_ratio() {
        let figure = figure(&[600.0, 300.0, 500.0]).beside("a bare loop", vec![1_000.0, 500.0, 1_000.0]);
        assert!((figure.ratio().unwrap() - 0.6).abs() < 1e-9);
        assert_eq!(figure.clone().must(Target::TimesLimit(0.5)).is_met(), Some(true));
        assert_eq!(figure.must(Target::AtMostTimesLimit(0.5)).is_met(), Some(false));
    }

    #[test]
    fn without_its_limit_a_figure_neither_meets_nor_misses_its_target() {
        assert_eq!(figure(&[600.0]).must(Target::TimesLimit(0.5)).is_met(), None);
        assert_eq!(figure(&[600.0]).must(Target::AtMost(700.0)).is_met(), Some(true));
    }
}
