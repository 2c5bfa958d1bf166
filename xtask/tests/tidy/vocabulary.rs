//! Which file may use which vocabulary: only two modules use both `contract` (the wire) and `domain` (the rules), and a
//! companion uses only the ports of the engine.

use crate::{
    Breach, assert_none,
    sources::{Source, ours},
};

/// The two translators: files with these names, or files in folders with these names.
const TRANSLATORS: [&str; 2] = ["crates/engine/src/wire/from", "crates/engine/src/wire/to"];

/// The lines that ship: neither tests nor comments.
fn shipped(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_test = source.path.ends_with("/tests.rs") || !source.path.contains("/src/");
    let mut before = "";
    source
        .lines()
        .take_while(move |(_, line)| {
            let test_module = before == "#[cfg(test)]" && line.starts_with("mod ") && line.ends_with('{');
            before = line;
            !is_test && !test_module
        })
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// What follows `name::` in a line, where `name` is the crate and not a module.
fn paths<'a>(line: &'a str, name: &str) -> Vec<&'a str> {
    let mention = format!("{name}::");
    line.match_indices(&mention)
        .filter(|(at, _)| {
            !line[..*at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
                || line[..*at].ends_with(" ::")
        })
        .map(|(at, _)| &line[at + mention.len()..])
        .collect()
}

fn first_mention(source: &Source, name: &str) -> Option<usize> {
    shipped(source).find(|(_, line)| !paths(line, name).is_empty()).map(|(number, _)| number)
}

fn mixed_vocabularies(sources: &[Source]) -> Vec<Breach> {
    let ours =
        sources.iter().filter(|source| source.path.starts_with("crates/") && source.has_extension("rs"));
    ours.filter(|source| !TRANSLATORS.iter().any(|path| source.path.starts_with(path)))
        .filter_map(|source| {
            let line = first_mention(source, "contract")?.max(first_mention(source, "domain")?);
            let what = "this file uses both `contract` and `domain`";
            Some(Breach::new(&source.path, line, what, "translate in crates/engine/src/wire/{from,to}.rs"))
        })
        .collect()
}

fn companions_beyond_ports(sources: &[Source]) -> Vec<Breach> {
    let companions = sources.iter().filter(|source| source.path.starts_with("crates/companions/src/"));
    companions
        .flat_map(|source| shipped(source).map(move |(number, line)| (source, number, line)))
        .filter(|(_, _, line)| paths(line, "engine").iter().any(|path| !path.starts_with("ports")))
        .map(|(source, number, _)| {
            let what = "a companion uses only the engine's ports";
            Breach::new(&source.path, number, what, "use it through `engine::ports`, or do without it")
        })
        .collect()
}

#[test]
fn only_the_translators_use_both_vocabularies() {
    assert_none(&mixed_vocabularies(&ours()));
}

#[test]
fn companions_use_only_the_ports_of_the_engine() {
    assert_none(&companions_beyond_ports(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    const BOTH: &str = "use contract::Envelope;\n\nuse domain::Batch;\n";

    #[test]
    fn a_file_that_uses_both_vocabularies_is_a_breach() {
        let breaches = mixed_vocabularies(&[Source::new("crates/engine/src/road/apply.rs", BOTH)]);
        assert_eq!((breaches[0].path.as_str(), breaches[0].line), ("crates/engine/src/road/apply.rs", 3));
    }

    #[test]
    fn translators_tests_comments_and_modules_of_the_name_are_free() {
        let in_tests = format!("use domain::Batch;\n#[cfg(test)]\nmod tests {{\n{BOTH}}}\n");
        assert_eq!(
            mixed_vocabularies(&[
                Source::new("crates/engine/src/wire/to.rs", BOTH),
                Source::new("crates/engine/src/wire/from/results.rs", BOTH),
                Source::new("crates/engine/tests/road.rs", BOTH),
                Source::new("crates/engine/src/road/apply.rs", &in_tests),
                Source::new("crates/engine/src/road/cause.rs", "// contract::Envelope\nuse domain::Batch;\n"),
                Source::new("crates/engine/src/ports.rs", "use crate::contract::X;\nuse domain::Batch;\n"),
            ]),
            []
        );
    }

    #[test]
    fn a_companion_that_uses_more_of_the_engine_is_a_breach() {
        let text = "use engine::ports::Broker;\nuse engine::apply::Engine;\n";
        let breaches = companions_beyond_ports(&[Source::new("crates/companions/src/nlp.rs", text)]);
        assert_eq!(breaches.iter().map(|breach| breach.line).collect::<Vec<_>>(), [2]);
    }
}
