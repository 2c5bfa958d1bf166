//! The summary of many runs.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, TableStyle, presets};

use crate::chance::Tally;
use crate::check::{EVALUATED, Findings};
use crate::run::Outcome;

/// Failing seeds whose violations are printed.
const SHOWN_SEEDS: usize = 5;
/// Violations of one seed that are printed.
const SHOWN: usize = 5;
/// The number of runs from which on each fault must have happened and each invariant must have been checked.
const ENOUGH: u64 = 200;

/// The sum of many runs.
#[derive(Debug, Default)]
pub struct Report {
    seeds: u64,
    turns: u64,
    simulated: Duration,
    tally: Tally,
    findings: Findings,
    failed: Vec<(u64, Findings)>,
    broken: Vec<(u64, String)>,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.turns += outcome.turns;
        self.simulated += outcome.simulated;
        self.tally.add(&outcome.tally);
        self.findings.add_counts(&outcome.findings);
        if !outcome.findings.violations.is_empty() {
            self.failed.push((outcome.seed, outcome.findings));
        }
    }

    /// Adds a run that failed with an error.
    pub fn add_broken(&mut self, seed: u64, error: &anyhow::Error) {
        self.seeds += 1;
        self.broken.push((seed, format!("{error:#}")));
    }

    /// Adds the runs of another thread.
    pub fn add_all(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.turns += other.turns;
        self.simulated += other.simulated;
        self.tally.add(&other.tally);
        self.findings.add_counts(&other.findings);
        self.failed.extend(other.failed);
        self.broken.extend(other.broken);
    }

    /// Whether every invariant held in every run, and every fault happened in at least one.
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.broken.is_empty() && self.vacuous().is_empty()
    }

    /// The faults that never happened and the invariants that were never checked.
    fn vacuous(&self) -> Vec<String> {
        if self.seeds < ENOUGH {
            return Vec::new();
        }
        let missing = self.tally.each().filter(|(_, times)| *times == 0);
        let unchecked = EVALUATED.into_iter().filter(|(invariant, _)| self.findings.checked(*invariant) == 0);
        missing
            .map(|(fault, _)| format!("{fault:?} never happened"))
            .chain(unchecked.map(|(invariant, _)| format!("{invariant} was never checked")))
            .collect()
    }

    /// The text for a terminal; `first` is the first seed.
    pub fn text(&mut self, first: u64, took: Duration) -> String {
        self.failed.sort_by_key(|(seed, _)| *seed);
        self.broken.sort();
        let style = presets::UTF8_HORIZONTAL_ONLY;
        let mut faults = table(style, ["port", "fault", "", "times"]);
        for (fault, times) in self.tally.each() {
            let (port, kind, meaning) = fault.description();
            faults.add_row([Cell::new(port), Cell::new(kind), Cell::new(meaning), number(times)]);
        }
        let mut invariants = table(style, ["", "invariant", "checked", "violations"]);
        for (invariant, unit) in EVALUATED {
            let all = self.failed.iter().flat_map(|(_, findings)| &findings.violations);
            let violations = all.filter(|finding| finding.invariant == invariant).count() as u64;
            let checked = format!("{} {unit}", self.findings.checked(invariant));
            let title = invariant.title();
            invariants.add_row([
                Cell::new(invariant),
                Cell::new(title),
                Cell::new(checked),
                number(violations),
            ]);
        }
        let verdict = match (self.failed.len() + self.broken.len(), self.vacuous().as_slice()) {
            (0, []) => "PASSED: every invariant held, and every fault happened".to_owned(),
            (0, missing) => format!("FAILED: the runs are vacuous: {}", missing.join("; ")),
            (failed, _) => format!("FAILED: {failed} seeds"),
        };
        let last = first + self.seeds.saturating_sub(1);
        let mut text = format!(
            "Seeds {first} to {last} in {:.1} s: {} turns, {:.1} simulated days\n\n{faults}\n\n{invariants}\n",
            took.as_secs_f64(),
            self.turns,
            self.simulated.as_secs_f64() / 86_400.0,
        );
        self.write_failures(&mut text);
        text.push('\n');
        text.push_str(&verdict);
        text
    }

    // Writing to a string does not fail.
    fn write_failures(&self, text: &mut String) {
        for (seed, findings) in self.failed.iter().take(SHOWN_SEEDS) {
            let _ = writeln!(
                text,
                "\nseed {seed} failed; to print its turns: cargo xtask simulate --seed {seed} --trace"
            );
            for finding in findings.violations.iter().take(SHOWN) {
                let _ = writeln!(text, "  {} {finding}", finding.invariant);
            }
            let more = findings.violations.len().saturating_sub(SHOWN);
            if more > 0 {
                let _ = writeln!(text, "  … and {more} more");
            }
        }
        let more: Vec<_> = self.failed.iter().skip(SHOWN_SEEDS).map(|(seed, _)| seed.to_string()).collect();
        if !more.is_empty() {
            let _ = writeln!(text, "\nfurther failed seeds: {}", more.join(", "));
        }
        for (seed, error) in &self.broken {
            let _ = writeln!(text, "\nseed {seed} failed with an error: {error}");
        }
    }
}

fn number(times: u64) -> Cell {
    Cell::new(times).set_alignment(CellAlignment::Right)
}

fn table<const N: usize>(style: TableStyle, header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(header);
    table
}
