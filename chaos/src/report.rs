//! What came of a run, for somebody who reads it late in the evening.

use std::{collections::BTreeMap, fmt::Write as _};

use comfy_table::{Cell, CellAlignment, Table, TableStyle, presets};

use crate::{
    check::Finding,
    history::{Call, Op, Outcome},
    nemesis::{Done, POINTS},
};

/// Below these a run has shown nothing.
const KILLS_IN_FLIGHT: usize = 5;
const REDELIVERIES: u64 = 1;
const REPLAYS: usize = 1;

/// Violations of one invariant that are printed.
const SHOWN: usize = 10;

/// What was done, and how the promises fared.
pub(crate) struct Report {
    seed: u64,
    load: Load,
    faults: Faults,
    findings: Vec<Finding>,
}

#[derive(Debug, Default)]
struct Load {
    seconds: u64,
    classes: usize,
    essays: usize,
    refused: usize,
    readings: usize,
}

/// The faults that happened.
#[derive(Debug, Default)]
struct Faults {
    kills: usize,
    kills_in_flight: usize,
    unanswered: usize,
    hung_up: usize,
    replays: usize,
    redeliveries: u64,
    crashes: BTreeMap<&'static str, usize>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        calls: &[Call],
        done: &Done,
        redeliveries: u64,
        findings: Vec<Finding>,
    ) -> Self {
        let count = |wanted: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
        let acknowledged = |op: Op| -> BTreeMap<_, usize> {
            let said_yes = calls.iter().filter(|call| call.op == op && call.outcome == Outcome::Ok);
            said_yes.map(|call| (call.facts.tag.as_deref(), call.facts.essays)).collect()
        };
        let (classes, singles) = (acknowledged(Op::SubmitClass), acknowledged(Op::SubmitEssay));
        let kills: Vec<_> = calls.iter().filter(|call| call.op == Op::Kill).collect();
        let in_flight = |kill: &&&Call| calls.iter().any(|call| call.op.is_write() && call.is_open_at(kill));
        Self {
            seed,
            load: Load {
                seconds: calls.last().map_or(0, |last| last.began_us / 1_000_000),
                classes: classes.len(),
                essays: classes.values().chain(singles.values()).sum(),
                refused: count(&|call| {
                    call.op.is_write() && call.outcome == Outcome::Fail && call.facts.status.is_some()
                }),
                readings: count(&|call| call.facts.seen.is_some()),
            },
            faults: Faults {
                kills: kills.len(),
                kills_in_flight: kills.iter().filter(in_flight).count(),
                unanswered: count(&|call| call.op.is_write() && call.outcome == Outcome::Info),
                hung_up: count(&|call| call.facts.note.as_deref() == Some("hung up")),
                replays: count(&|call| call.facts.replayed),
                redeliveries,
                crashes: done.crashes.clone(),
            },
            findings,
        }
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
        let faults = &self.faults;
        let few = [
            (faults.kills_in_flight >= KILLS_IN_FLIGHT, "too few kills while a write was in flight"),
            (faults.redeliveries >= REDELIVERIES, "no event was delivered again"),
            (faults.replays >= REPLAYS, "no answer was replayed"),
        ];
        let few = few.iter().filter(|(enough, _)| !enough).map(|(_, what)| (*what).to_owned());
        let points = POINTS.iter().filter(|point| !faults.crashes.contains_key(point.name));
        let points = points.map(|point| format!("no crash at {}", point.name));
        let unchecked = self.findings.iter().filter(|finding| finding.checked == 0);
        few.chain(points)
            .chain(unchecked.map(|finding| format!("nothing to hold {} against", finding.id)))
            .collect()
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
        for (fault, note, times) in self.faults.rows() {
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
            "Seed {}, {seconds} s, embedded mode: {classes} classes and {essays} essays in all acknowledged, \
             {refused} requests refused, {readings} states read\n\n{faults}\n\n{invariants}\n\n{verdict}\n",
            self.seed
        )
    }
}

impl Faults {
    fn rows(&self) -> Vec<(String, &'static str, u64)> {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut rows = vec![
            ("SIGKILL".to_owned(), "at random, some in volleys", wide(self.kills)),
            ("SIGKILL".to_owned(), "of these: while a write was in flight", wide(self.kills_in_flight)),
            ("answer lost".to_owned(), "of a write: sent again under its key", wide(self.unanswered)),
            ("answer cut".to_owned(), "of these: the client hung up within the answer", wide(self.hung_up)),
            ("replay".to_owned(), "the stored answer was given again", wide(self.replays)),
            ("redelivery".to_owned(), "an event came again and changed nothing", self.redeliveries),
        ];
        rows.extend(POINTS.iter().map(|point| {
            let times = self.crashes.get(point.name).copied().unwrap_or_default();
            (format!("crash at {}", point.name), point.fault, wide(times))
        }));
        rows
    }
}

fn table<const N: usize>(style: TableStyle, header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(header);
    table
}
