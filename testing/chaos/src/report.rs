//! The report of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use comfy_table::{Cell, CellAlignment, Table, TableStyle, presets};

use invariants::Evaluation;

use crate::history::{Call, Op, Outcome};

/// Kills during a write that a run needs to show anything.
pub(crate) const KILLS_IN_FLIGHT: usize = 5;

/// The number of kills while a write was in flight.
pub(crate) fn kills_in_flight(calls: &[Call]) -> usize {
    let kills = calls.iter().filter(|call| call.op == Op::Kill);
    let in_flight = |kill: &&Call| calls.iter().any(|call| call.op.is_write() && call.is_open_at(kill));
    kills.filter(in_flight).count()
}

/// Violations of one invariant that are printed.
const SHOWN: usize = 10;

/// What happened in a run, and the result of each invariant.
pub(crate) struct Report {
    mode: &'static str,
    seed: u64,
    load: Load,
    rows: Vec<Row>,
    evaluations: Vec<Evaluation>,
}

/// The count of a fault or of its effect.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) note: &'static str,
    pub(crate) times: usize,
    /// The count below which the run is vacuous.
    pub(crate) least: usize,
}

impl Row {
    pub(crate) fn new(fault: impl Into<String>, note: &'static str, times: usize, least: usize) -> Self {
        Self { fault: fault.into(), note, times, least }
    }

    /// Counts of the clients' calls; `redeliveries` is the service's own counter.
    pub(crate) fn of_load(calls: &[Call], redeliveries: u64) -> Vec<Self> {
        let count = |wanted: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
        let kills = count(&|call| call.op == Op::Kill);
        let unanswered = count(&|call| call.op.is_write() && call.outcome == Outcome::Info);
        let hung_up = count(&|call| call.facts.note.as_deref() == Some("hung up"));
        let replays = count(&|call| call.facts.replayed);
        let redeliveries = usize::try_from(redeliveries).unwrap_or(usize::MAX);
        vec![
            Self::new("SIGKILL", "of the service, at random", kills, 1),
            Self::new(
                "SIGKILL",
                "of these: while a write was in flight",
                kills_in_flight(calls),
                KILLS_IN_FLIGHT,
            ),
            Self::new("answer lost", "of a write, or 503: repeated under its key", unanswered, 0),
            Self::new("answer cut", "of these: the client hung up within it", hung_up, 0),
            Self::new("replay", "the stored answer was returned again", replays, 1),
            Self::new("redelivery", "an event was delivered again and changed nothing", redeliveries, 1),
        ]
    }
}

#[derive(Debug, Default)]
struct Load {
    seconds: u64,
    classes: usize,
    essays: usize,
    refused: usize,
    readings: usize,
}

impl Report {
    pub(crate) fn new(
        mode: &'static str,
        seed: u64,
        calls: &[Call],
        rows: Vec<Row>,
        evaluations: Vec<Evaluation>,
    ) -> Self {
        let count = |wanted: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
        let acknowledged = |op: Op| -> BTreeMap<_, usize> {
            let said_yes = calls.iter().filter(|call| call.op == op && call.outcome == Outcome::Ok);
            said_yes.map(|call| (call.facts.tag.as_deref(), call.facts.essays)).collect()
        };
        let (classes, singles) = (acknowledged(Op::SubmitClass), acknowledged(Op::SubmitEssay));
        let load = Load {
            seconds: calls.last().map_or(0, |last| last.began_us / 1_000_000),
            classes: classes.len(),
            essays: classes.values().chain(singles.values()).sum(),
            refused: count(&|call| {
                call.op.is_write() && call.outcome == Outcome::Fail && call.facts.status.is_some()
            }),
            readings: count(&|call| call.facts.seen.is_some()),
        };
        Self { mode, seed, load, rows, evaluations }
    }

    /// Whether every invariant held under faults that happened.
    pub(crate) fn passed(&self) -> bool {
        self.vacuous().is_empty() && self.violations() == 0
    }

    fn violations(&self) -> usize {
        self.evaluations.iter().map(|evaluation| evaluation.violations).sum()
    }

    /// What this run did not test, because it did not happen.
    fn vacuous(&self) -> Vec<String> {
        let few = self.rows.iter().filter(|row| row.times < row.least);
        let few =
            few.map(|row| format!("{} ({}): {} instead of {}", row.fault, row.note, row.times, row.least));
        let unchecked = self.evaluations.iter().filter(|evaluation| evaluation.checked == 0);
        few.chain(unchecked.map(|evaluation| format!("{} was never checked", evaluation.invariant))).collect()
    }

    /// The text for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = self.render(presets::UTF8_HORIZONTAL_ONLY);
        for evaluation in self.evaluations.iter().filter(|evaluation| evaluation.violations > 0) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{} violated: {}", evaluation.invariant, evaluation.invariant.title());
            for finding in evaluation.findings.iter().take(SHOWN) {
                let _ = writeln!(text, "  {finding}");
            }
            let more = evaluation.violations.saturating_sub(evaluation.findings.len().min(SHOWN));
            if more > 0 {
                let _ = writeln!(text, "  … and {more} more");
            }
        }
        text
    }

    /// The text for a Markdown page.
    pub(crate) fn markdown(&self) -> String {
        self.render(presets::ASCII_MARKDOWN)
    }

    fn render(&self, style: TableStyle) -> String {
        let Load { seconds, classes, essays, refused, readings } = &self.load;
        let mut invariants = table(style, ["", "invariant", "checked", "violations"]);
        for Evaluation { invariant, checked, unit, violations, .. } in &self.evaluations {
            invariants.add_row([
                Cell::new(invariant),
                Cell::new(invariant.title()),
                Cell::new(format!("{checked} {unit}")),
                Cell::new(violations).set_alignment(CellAlignment::Right),
            ]);
        }
        let mut faults = table(style, ["fault", "", "times"]);
        for Row { fault, note, times, least: _ } in &self.rows {
            faults.add_row([
                Cell::new(fault),
                Cell::new(note),
                Cell::new(times).set_alignment(CellAlignment::Right),
            ]);
        }
        let verdict = match (self.violations(), self.vacuous().as_slice()) {
            (0, []) => "PASSED: every invariant held, and every fault happened".to_owned(),
            (0, missing) => format!("FAILED: the run is vacuous: {}", missing.join("; ")),
            (violations, _) => format!("FAILED: {violations} violations"),
        };
        format!(
            "Seed {}, {seconds} s, {} mode: {classes} classes and {essays} essays in all acknowledged, \
             {refused} requests refused, {readings} states read\n\n{faults}\n\n{invariants}\n\n{verdict}\n",
            self.seed, self.mode
        )
    }
}

fn table<const N: usize>(style: TableStyle, header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(header);
    table
}
