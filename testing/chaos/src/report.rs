//! What came of a run, for somebody who reads it late in the evening.

use std::{collections::BTreeMap, fmt::Write as _};

use comfy_table::{Cell, CellAlignment, Table, TableStyle, presets};

use crate::{
    check::Finding,
    history::{Call, Op, Outcome},
};

/// Below so many kills while a write was in flight a run has shown nothing.
pub(crate) const KILLS_IN_FLIGHT: usize = 5;

/// Kills while a write was in flight.
pub(crate) fn kills_in_flight(calls: &[Call]) -> usize {
    let kills = calls.iter().filter(|call| call.op == Op::Kill);
    let in_flight = |kill: &&Call| calls.iter().any(|call| call.op.is_write() && call.is_open_at(kill));
    kills.filter(in_flight).count()
}

/// Violations of one invariant that are printed.
const SHOWN: usize = 10;

/// What was done, and how the promises fared.
pub(crate) struct Report {
    mode: &'static str,
    seed: u64,
    load: Load,
    rows: Vec<Row>,
    findings: Vec<Finding>,
}

/// A fault, or what came of faults, and how often.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) note: &'static str,
    pub(crate) times: usize,
    /// Below this the run has shown nothing.
    pub(crate) least: usize,
}

impl Row {
    pub(crate) fn new(fault: impl Into<String>, note: &'static str, times: usize, least: usize) -> Self {
        Self { fault: fault.into(), note, times, least }
    }

    /// What became of the clients' calls; `redeliveries` is what the service itself has counted.
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
            Self::new("answer lost", "of a write, or 503: sent again under its key", unanswered, 0),
            Self::new("answer cut", "of these: the client hung up within it", hung_up, 0),
            Self::new("replay", "the stored answer was given again", replays, 1),
            Self::new("redelivery", "an event came again and changed nothing", redeliveries, 1),
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
        findings: Vec<Finding>,
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
        Self { mode, seed, load, rows, findings }
    }

    /// Whether every promise was kept under faults that did happen.
    pub(crate) fn passed(&self) -> bool {
        self.vacuous().is_empty() && self.violations() == 0
    }

    fn violations(&self) -> usize {
        self.findings.iter().map(|finding| finding.violations.len()).sum()
    }

    /// What this run did not show, because it did not happen.
    fn vacuous(&self) -> Vec<String> {
        let few = self.rows.iter().filter(|row| row.times < row.least);
        let few = few.map(|row| format!("{} ({}): {} and not {}", row.fault, row.note, row.times, row.least));
        let unchecked = self.findings.iter().filter(|finding| finding.checked == 0);
        few.chain(unchecked.map(|finding| format!("nothing to hold {} against", finding.id))).collect()
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = self.render(presets::UTF8_HORIZONTAL_ONLY);
        for finding in self.findings.iter().filter(|finding| !finding.violations.is_empty()) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{} violated: {}", finding.id, finding.title);
            for violation in finding.violations.iter().take(SHOWN) {
                let _ = writeln!(text, "  {violation}");
            }
            let more = finding.violations.len().saturating_sub(SHOWN);
            if more > 0 {
                let _ = writeln!(text, "  … and {more} more");
            }
        }
        text
    }

    /// For a page.
    pub(crate) fn markdown(&self) -> String {
        self.render(presets::ASCII_MARKDOWN)
    }

    fn render(&self, style: TableStyle) -> String {
        let Load { seconds, classes, essays, refused, readings } = &self.load;
        let mut invariants = table(style, ["", "invariant", "checked", "violations"]);
        for finding in &self.findings {
            invariants.add_row([
                Cell::new(finding.id),
                Cell::new(finding.title),
                Cell::new(format!("{} {}", finding.checked, finding.unit)),
                Cell::new(finding.violations.len()).set_alignment(CellAlignment::Right),
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
            (0, []) => "PASSED: every promise was kept, and every fault happened".to_owned(),
            (0, missing) => format!("FAILED: the run shows nothing: {}", missing.join("; ")),
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
