//! A chaos run evaluates every invariant that the catalogue promises of it, its faults are on the page about them, and every
//! crash point is in the list that it goes through.

use crate::{
    Breach, assert_none,
    sources::{Source, file, has_word, ours},
};

const CATALOGUE: &str = "crates/invariants/src/catalogue.rs";
const CHAOS: &str = "testing/chaos/src/";
/// Unit tests of the checker name invariants that they do not evaluate.
const TESTS: &str = "testing/chaos/src/check/tests.rs";
const FAULTS: &str = "testing/chaos/src/production/fault.rs";
const PAGE: &str = "docs/reliability.md";
const CRASH_POINTS: &str = "crates/engine/src/crash.rs";
const CRASHES: &str = "crates/engine/tests/";

/// Each invariant with its line and its judges, as the catalogue declares them.
fn declared(catalogue: &Source) -> Vec<(usize, &str, Vec<&str>)> {
    let mut declared = Vec::new();
    let mut id = "";
    for (number, line) in catalogue.block("invariants! {") {
        let before = line.trim_start().split_once(": \"").map_or("", |(before, _)| before);
        if !before.is_empty() && before.chars().all(char::is_alphanumeric) {
            id = before;
        }
        if let Some((_, judges)) = line.split_once("by [") {
            let judges = judges.split(']').next().unwrap_or_default();
            declared.push((number, id, judges.split(", ").collect()));
        }
    }
    declared
}

/// Invariants that the run on Kafka is said to evaluate and does not, or the other way round. It also runs the comparison of
/// `bos audit`, so what the audit evaluates it evaluates too.
fn unevaluated(sources: &[Source]) -> Vec<Breach> {
    let chaos = sources.iter().filter(|source| source.path.starts_with(CHAOS) && source.path != TESTS);
    let chaos: Vec<_> = chaos.filter(|source| source.has_extension("rs")).collect();
    let mut breaches = Vec::new();
    for (line, id, judges) in declared(file(sources, CATALOGUE)) {
        let evaluates = chaos.iter().any(|source| has_word(&source.text, &format!("Invariant::{id}")));
        let is_promised = judges.contains(&"Chaos");
        if is_promised && !evaluates && !judges.contains(&"Audit") {
            let fix = "evaluate it in testing/chaos/src, or take the judge away";
            breaches.push(Breach::new(CATALOGUE, line, format!("no chaos run evaluates {id}"), fix));
        }
        if evaluates && !is_promised {
            let what = format!("chaos evaluates {id}, and the catalogue does not say so");
            breaches.push(Breach::new(CATALOGUE, line, what, "add the judge `Chaos`"));
        }
    }
    breaches
}

/// The names of the faults, with their lines.
fn faults(faults: &Source) -> Vec<(usize, &str)> {
    let lines = faults.block("pub(crate) const fn description");
    let named = lines.filter_map(|(number, line)| Some((number, line.split_once("=> (\"")?.1)));
    named.filter_map(|(number, rest)| Some((number, rest.split('"').next()?))).collect()
}

fn unmentioned(sources: &[Source]) -> Vec<Breach> {
    let page = file(sources, PAGE);
    faults(file(sources, FAULTS))
        .into_iter()
        .filter(|(_, name)| !page.text.contains(name))
        .map(|(line, name)| {
            let what = format!("{PAGE} does not name the fault \"{name}\"");
            Breach::new(FAULTS, line, what, "describe it there, under this name")
        })
        .collect()
}

/// The crash points, with their lines.
fn crash_points(source: &Source) -> Vec<(usize, &str)> {
    let lines = source.block("pub enum CrashPoint").map(|(number, line)| (number, line.trim()));
    lines.filter_map(|(number, line)| Some((number, line.strip_suffix(',')?))).collect()
}

/// Crash points that no run passes on purpose, because `ALL` lacks them, or that the engine's tests do not crash at.
fn unused_crash_points(sources: &[Source]) -> Vec<Breach> {
    let source = file(sources, CRASH_POINTS);
    let all: Vec<_> = source.block("pub const ALL").map(|(_, line)| line).collect();
    let tests: Vec<_> = sources.iter().filter(|source| source.path.starts_with(CRASHES)).collect();
    let mut breaches = Vec::new();
    for (line, point) in crash_points(source) {
        let mut miss = |what: String, fix: &str| breaches.push(Breach::new(CRASH_POINTS, line, what, fix));
        if !all.iter().any(|line| has_word(line, point)) {
            miss(format!("{point} is not in ALL"), "add it there, and to testing/chaos/src/nemesis.rs");
        }
        if !tests.iter().any(|test| has_word(&test.text, point)) {
            miss(
                format!("no test of the engine crashes at {point}"),
                "add it to crates/engine/tests/it/crashes.rs",
            );
        }
    }
    breaches
}

#[test]
fn every_crash_point_is_listed_and_tested() {
    let ours = ours();
    assert!(crash_points(file(&ours, CRASH_POINTS)).len() > 8, "the rule finds the crash points");
    assert_none(&unused_crash_points(&ours));
}

#[test]
fn chaos_evaluates_the_invariants_that_the_catalogue_promises() {
    let ours = ours();
    assert!(declared(file(&ours, CATALOGUE)).len() > 15, "the rule finds the invariants");
    assert_none(&unevaluated(&ours));
}

#[test]
fn every_fault_of_chaos_is_on_the_page_about_reliability() {
    let ours = ours();
    assert!(faults(file(&ours, FAULTS)).len() > 20, "the rule finds the faults");
    assert_none(&unmentioned(&ours));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_judge_that_does_not_judge_and_one_that_is_not_named_are_breaches() {
        let catalogue = "invariants! {\n    I1: \"a\",\n        \"A: b.\",\n        from \"HTTP\", by [Simulation, Chaos];\n    I2: \"b\",\n        \
                         from \"HTTP\", by [Chaos, Audit];\n    I3: \"c\",\n        from \"HTTP\", by [Simulation];\n    I4: \"d\",\n        \
                         from \"HTTP\", by [ChaosEmbedded, Chaos];\n}\n";
        let sources = [
            Source::new(CATALOGUE, catalogue),
            Source::new(
                "testing/chaos/src/check.rs",
                "(Invariant::I3, a), (Invariant::I4, b), (Invariant::I11, c)\n",
            ),
            Source::new(TESTS, "Invariant::I1\n"),
        ];
        let breaches = unevaluated(&sources);
        let found: Vec<_> = breaches.iter().map(|breach| (breach.line, breach.what.as_str())).collect();
        let expected =
            [(4, "no chaos run evaluates I1"), (8, "chaos evaluates I3, and the catalogue does not say so")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_fault_that_the_page_does_not_name_is_a_breach() {
        let text = "impl Fault {\n    pub(crate) const fn description(self) -> (&'static str, &'static str) {\n        match self {\n            \
                    Self::A => (\"broker killed\", \"x\"),\n            Self::B => (\"flood\", \"y\"),\n        }\n    }\n}\n";
        let sources = [Source::new(FAULTS, text), Source::new(PAGE, "| broker killed | x | 1 |\n")];
        let breaches = unmentioned(&sources);
        assert_eq!((breaches.len(), breaches[0].line), (1, 5));
    }

    #[test]
    fn a_crash_point_that_is_not_listed_or_not_tested_is_a_breach() {
        let text = "pub enum CrashPoint {\n    /// A, first.\n    A,\n    /// B.\n    B,\n}\nimpl CrashPoint {\n    pub const ALL: [Self; 1] = [\n        \
                    Self::A,\n    ];\n    const fn is_b(self) -> bool { Self::B }\n}\n";
        let sources =
            [Source::new(CRASH_POINTS, text), Source::new("crates/engine/tests/it/crashes.rs", "a_b: B,\n")];
        let breaches = unused_crash_points(&sources);
        let found: Vec<_> = breaches.iter().map(|breach| (breach.line, breach.what.as_str())).collect();
        assert_eq!(found, [(3, "no test of the engine crashes at A"), (5, "B is not in ALL")]);
    }
}
