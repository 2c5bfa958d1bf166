//! Every metric is declared in a `metrics.rs`, described to the recorder, and on the operators' page.

use std::collections::BTreeSet;

use crate::{
    Breach, assert_none,
    sources::{Source, file, has_word, ours},
};

const PAGE: &str = "docs/operations.md";

/// What the names of our metrics begin with.
const PREFIX: &str = "bos_";

/// Calls that record a metric under a name that is written there.
const RECORDERS: [&str; 3] = ["counter!(\"", "gauge!(\"", "histogram!(\""];

/// The files that ship.
fn shipped(sources: &[Source]) -> impl Iterator<Item = &Source> {
    let sources = sources.iter().filter(|source| source.path.starts_with("crates/"));
    sources.filter(|source| source.path.contains("/src/") && source.has_extension("rs"))
}

/// A metric where it is declared.
struct Metric<'a> {
    source: &'a Source,
    line: usize,
    constant: &'a str,
    name: &'a str,
}

/// The declarations, `CONSTANT: &str = "bos_…"` or `describe_counter CONSTANT = "bos_…"`.
fn metrics(sources: &[Source]) -> Vec<Metric<'_>> {
    let files = shipped(sources).filter(|source| source.path.ends_with("/metrics.rs"));
    let declared = files.flat_map(|source| source.lines().map(move |(line, text)| (source, line, text)));
    let declared = declared.filter_map(|(source, line, text)| {
        let (before, after) = text.split_once(" = \"")?;
        let name = after.split('"').next().filter(|name| name.starts_with(PREFIX))?;
        let constant = before.split(':').next()?.split_whitespace().last()?;
        Some(Metric { source, line, constant, name })
    });
    declared.collect()
}

fn is_described(metric: &Metric<'_>) -> bool {
    let text = &metric.source.text;
    text.match_indices("describe_").any(|(at, _)| {
        let subject = text[at..].split([',', '=', ';']).next();
        subject.is_some_and(|subject| has_word(subject, metric.constant))
    })
}

fn undocumented(sources: &[Source]) -> Vec<Breach> {
    let page = file(sources, PAGE);
    let metrics = metrics(sources);
    let mut breaches = Vec::new();
    for metric in &metrics {
        let name = metric.name;
        let mut miss = |what: String, fix: &str| {
            breaches.push(Breach::new(&metric.source.path, metric.line, what, fix));
        };
        if !has_word(&page.text, name) {
            miss(format!("{PAGE} does not say what {name} is for"), "add its line there");
        }
        if !is_described(metric) {
            miss(format!("{name} is not described to the recorder"), "describe it in the same file");
        }
    }
    for source in shipped(sources) {
        for (line, text) in source.lines() {
            let recorded = RECORDERS.iter().find_map(|call| Some(text.split_once(call)?.1));
            let name = recorded.and_then(|rest| rest.split('"').next());
            if let Some(name) = name.filter(|name| !metrics.iter().any(|metric| metric.name == *name)) {
                let what = format!("the metric {name} is in no metrics.rs");
                breaches.push(Breach::new(&source.path, line, what, "declare and describe it there"));
            }
        }
    }
    let known: BTreeSet<_> = metrics.iter().map(|metric| metric.name).collect();
    for (line, text) in page.lines() {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let gone = words.filter(|word| word.starts_with(PREFIX) && *word != PREFIX && !known.contains(word));
        let breach = |name: &str| {
            Breach::new(PAGE, line, format!("there is no metric {name}"), "remove it, or correct its name")
        };
        breaches.extend(gone.map(breach));
    }
    breaches
}

#[test]
fn every_metric_is_described_and_on_the_operators_page() {
    let ours = ours();
    assert!(metrics(&ours).len() > 30, "the rule finds the declarations");
    assert_none(&undocumented(&ours));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_metric_without_a_line_or_a_description_is_a_breach_and_a_line_without_a_metric_too() {
        let api = "pub(crate) const A: &str = \"bos_a\";\nconst B: &str = \"bos_b_total\";\nconst C: &str = \"bos_c\";\n\
                   fn describe() {\n    describe_counter!(A, \"A\");\n    describe_histogram!(\n        C,\n    );\n}\n";
        let engine = "names! {\n    describe_gauge D = \"bos_d\": \"D.\";\n}\n";
        let sources = [
            Source::new(PAGE, "| `bos_a_total{x=\"y\"}` |\n| `bos_b_total`, `bos_c`, `bos_d` |\n"),
            Source::new("crates/api/src/metrics.rs", api),
            Source::new("crates/engine/src/metrics.rs", engine),
            Source::new(
                "crates/api/src/auth.rs",
                "counter!(\"bos_e\").increment(1);\ncounter!(\"bos_a\");\n",
            ),
        ];
        let breaches = undocumented(&sources);
        let breaches: Vec<_> =
            breaches.iter().map(|breach| (breach.path.as_str(), breach.line, breach.what.as_str())).collect();
        assert_eq!(
            breaches,
            [
                ("crates/api/src/metrics.rs", 1, "docs/operations.md does not say what bos_a is for"),
                ("crates/api/src/metrics.rs", 2, "bos_b_total is not described to the recorder"),
                ("crates/api/src/auth.rs", 1, "the metric bos_e is in no metrics.rs"),
                (PAGE, 1, "there is no metric bos_a_total"),
            ]
        );
    }
}
