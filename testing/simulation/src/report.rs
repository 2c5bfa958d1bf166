//! What came of many runs.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, TableStyle, presets};

use crate::chance::Tally;
use crate::check::{Findings, Invariant};
use crate::story::Outcome;

/// Failing seeds whose violations are printed.
const SHOWN_SEEDS: usize = 5;
/// Violations of one seed that are printed.
const SHOWN: usize = 5;
/// With fewer runs, some fault may well not happen.
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
        self.findings.add(&outcome.findings);
        if !outcome.findings.violations.is_empty() {
            self.failed.push((outcome.seed, outcome.findings));
        }
    }

    /// Adds a run that could not be made.
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
        self.findings.add(&other.findings);
        self.failed.extend(other.failed);
        self.broken.extend(other.broken);
    }

    /// Whether every invariant held in every run, and every fault happened in some.
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.broken.is_empty() && self.vacuous().is_empty()
    }

    /// What these runs did not show, because it did not happen.
    fn vacuous(&self) -> Vec<String> {
        if self.seeds < ENOUGH {
            return Vec::new();
        }
        let missing = self.tally.each().filter(|(_, times)| *times == 0);
        let unchecked = Invariant::ALL.into_iter().filter(|invariant| self.findings.checked(*invariant) == 0);
        missing
            .map(|(fault, _)| format!("{fault:?} never happened"))
            .chain(unchecked.map(|invariant| format!("nothing to hold {} against", invariant.words().0)))
            .collect()
    }

    /// For a terminal; `first` is the seed that the runs began with.
    pub fn text(&mut self, first: u64, took: Duration) -> String {
        self.failed.sort_by_key(|(seed, _)| *seed);
        self.broken.sort();
        let style = presets::UTF8_HORIZONTAL_ONLY;
        let mut faults = table(style, ["port", "fault", "", "times"]);
        for (fault, times) in self.tally.each() {
            let (port, kind, meaning) = fault.words();
            faults.add_row([Cell::new(port), Cell::new(kind), Cell::new(meaning), number(times)]);
        }
        let mut invariants = table(style, ["", "invariant", "checked", "violations"]);
        for invariant in Invariant::ALL {
            let (name, unit, title) = invariant.words();
            let all = self.failed.iter().flat_map(|(_, findings)| &findings.violations);
            let violations = all.filter(|(violated, _)| *violated == invariant).count() as u64;
            let checked = format!("{} {unit}", self.findings.checked(invariant));
            invariants.add_row([Cell::new(name), Cell::new(title), Cell::new(checked), number(violations)]);
        }
        let verdict = match (self.failed.len() + self.broken.len(), self.vacuous().as_slice()) {
            (0, []) => "PASSED: every promise was kept, and every fault happened".to_owned(),
            (0, missing) => format!("FAILED: the runs show nothing: {}", missing.join("; ")),
            (failed, _) => format!("FAILED: {failed} seeds"),
        };
        let last = first + self.seeds.saturating_sub(1);
        let mut text = format!(
            "Seeds {first} to {last} in {:.1} s: {} turns, {:.1} simulated days\n\n{faults}\n\n{invariants}\n",
            took.as_secs_f64(),
            self.turns,
            self.simulated.as_secs_f64() / 86_400.0,
        );
        self.tell_failures(&mut text);
        text.push('\n');
        text.push_str(&verdict);
        text
    }

    // Writing to a string does not fail.
    fn tell_failures(&self, text: &mut String) {
        for (seed, findings) in self.failed.iter().take(SHOWN_SEEDS) {
            let _ = writeln!(
                text,
                "\nseed {seed}; again, turn by turn: cargo xtask simulate --seed {seed} --trace"
            );
            for (invariant, what) in findings.violations.iter().take(SHOWN) {
                let _ = writeln!(text, "  {}: {what}", invariant.words().0);
            }
            let more = findings.violations.len().saturating_sub(SHOWN);
            if more > 0 {
                let _ = writeln!(text, "  … and {more} more");
            }
        }
        let more: Vec<_> = self.failed.iter().skip(SHOWN_SEEDS).map(|(seed, _)| seed.to_string()).collect();
        if !more.is_empty() {
            let _ = writeln!(text, "\nand the seeds {}", more.join(", "));
        }
        for (seed, error) in &self.broken {
            let _ = writeln!(text, "\nseed {seed} could not be run: {error}");
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
