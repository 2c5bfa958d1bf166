//! What the compiler does not ask of a new message: an example of its record, and the check of its two ids.

use crate::{
    Breach, assert_none,
    sources::{Source, file, has_word, ours},
};

const TOPICS: &str = "crates/contract/src/topic.rs";
const EXAMPLES: [&str; 2] = ["crates/contract/tests/it/samples.rs", "crates/contract/tests/it/fixtures.rs"];

/// Topics whose sample is not found by their name, and how it is.
const BY_ANOTHER_NAME: [(&str, &str); 1] = [("NlpInitiateV1", "the topic of `NlpCommandVersion::V1`")];

const READER: &str = "crates/contract/src/read/news.rs";
const TRANSLATOR: &str = "crates/engine/src/wire/from.rs";

fn topics(source: &Source) -> Vec<(usize, &str)> {
    let lines = source.block("pub enum Topic");
    lines.filter_map(|(number, line)| Some((number, line.trim().split_once(" = \"")?.0))).collect()
}

/// Topics without a sample that is written and without a fixture that is read, so that no snapshot shows their records.
fn without_example(sources: &[Source]) -> Vec<Breach> {
    let examples = EXAMPLES.map(|path| file(sources, path));
    topics(file(sources, TOPICS))
        .into_iter()
        .filter(|(_, topic)| !BY_ANOTHER_NAME.iter().any(|(known, _)| known == topic))
        .filter(|(_, topic)| !examples.iter().any(|source| has_word(&source.text, topic)))
        .map(|(line, topic)| {
            let fix = "write a sample, or a fixture of each generation, under crates/contract/tests";
            Breach::new(TOPICS, line, format!("no example has the topic {topic}"), fix)
        })
        .collect()
}

/// The variants of a message that BOS reads, each with its line and the names of its fields.
fn variants(reader: &Source) -> Vec<(usize, &str, Vec<&str>)> {
    let mut variants: Vec<(usize, &str, Vec<&str>)> = Vec::new();
    for (number, line) in reader.block("pub enum IncomingBody") {
        let code = line.trim();
        if let Some(name) = code.strip_suffix(" {") {
            variants.push((number, name, Vec::new()));
        } else if let (Some((field, _)), Some((_, _, fields)), false) =
            (code.split_once(": "), variants.last_mut(), code.starts_with("//"))
        {
            fields.push(field);
        }
    }
    variants
}

/// Messages that name an essay and its batch, and whose contradictions are not looked for: the news would go to the batch in
/// the essay's id, whatever the message says.
fn unchecked_ids(sources: &[Source]) -> Vec<Breach> {
    let checked: String =
        file(sources, TRANSLATOR).block("fn contradicted_batch").flat_map(|(_, line)| [line, "\n"]).collect();
    variants(file(sources, READER))
        .into_iter()
        .filter(|(_, _, fields)| fields.contains(&"essay_id") && fields.contains(&"batch_id"))
        .filter(|(_, name, _)| !has_word(&checked, name))
        .map(|(line, name, _)| {
            let what = format!("the essay and the batch of {name} are not compared");
            Breach::new(READER, line, what, format!("add it to `contradicted_batch` in {TRANSLATOR}"))
        })
        .collect()
}

#[test]
fn every_topic_has_an_example() {
    let ours = ours();
    assert!(topics(file(&ours, TOPICS)).len() > 15, "the rule finds the topics");
    assert_none(&without_example(&ours));
}

#[test]
fn every_message_with_an_essay_and_a_batch_is_checked_for_contradictions() {
    let ours = ours();
    assert!(variants(file(&ours, READER)).len() > 3, "the rule finds the messages");
    assert_none(&unchecked_ids(&ours));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_topic_without_an_example_is_a_breach() {
        let topics = "string_enum! {\n    pub enum Topic: \"topic\" {\n        /// One.\n        One = \"a.one.v1\",\n        \
                      OneMore = \"a.more.v1\",\n    }\n}\n";
        let sources = [
            Source::new(TOPICS, topics),
            Source::new(EXAMPLES[0], "Topic::OneMore\n"),
            Source::new(EXAMPLES[1], "\"2026\" \"a\" OneMoreTime;\n"),
        ];
        let breaches = without_example(&sources);
        assert_eq!((breaches.len(), breaches[0].line), (1, 4));
    }

    #[test]
    fn a_message_whose_ids_are_not_compared_is_a_breach() {
        let reader = "pub enum IncomingBody {\n    /// Both: checked.\n    A {\n        essay_id: Uuid,\n        batch_id: Option<Uuid>,\n    },\n    \
                      B {\n        /// The essay.\n        essay_id: Uuid,\n        batch_id: Uuid,\n    },\n    C {\n        batch_id: Uuid,\n    },\n}\n";
        let translator = "fn contradicted_batch(body: &IncomingBody) {\n    let IncomingBody::A { .. } = body;\n}\nfn b(_: B) {}\n";
        let sources = [Source::new(READER, reader), Source::new(TRANSLATOR, translator)];
        let breaches = unchecked_ids(&sources);
        assert_eq!((breaches.len(), breaches[0].line), (1, 7));
    }
}
