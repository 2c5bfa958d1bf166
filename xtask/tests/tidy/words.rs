//! Words that our sentences do without: they hide which part of the system does something.

use crate::{
    Breach, assert_none,
    sources::{Source, ours},
};

/// In any case, also inside a longer word.
const WORDS: [&str; 4] = ["nobody", "somebody", "whoever", "so many"];

/// Where the words may stand, by the beginning of the path, and why.
const LITERAL: [(&str, &str); 4] = [
    ("xtask/tests/tidy/words.rs", "lists the words"),
    ("crates/companions/dictionaries/", "word lists"),
    ("demo/class-9b/", "essays of pupils"),
    ("demo/klass-9b/", "essays of pupils"),
];

fn vague_words(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in source.lines() {
        let line = line.to_lowercase();
        for word in WORDS.iter().filter(|word| line.contains(*word)) {
            let fix = "name the part of the system that does it, or the reader's role";
            breaches.push(Breach::new(&source.path, number, format!("the word `{word}`"), fix));
        }
    }
    breaches
}

fn is_exempt(path: &str) -> bool {
    LITERAL.iter().any(|(prefix, _)| path.starts_with(prefix))
}

#[test]
fn sentences_name_who_acts() {
    let ours = ours();
    let breaches: Vec<_> =
        ours.iter().filter(|source| !is_exempt(&source.path)).flat_map(vague_words).collect();
    assert_none(&breaches);
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn each_vague_word_is_a_breach_with_its_line() {
        let page = Source::new("README.md", "Fine.\nNobody waits.\n\nFor whoever asks, so many\nso\nmany\n");
        let found: Vec<_> = vague_words(&page).into_iter().map(|breach| (breach.line, breach.what)).collect();
        let expected = [(2, "nobody"), (4, "whoever"), (4, "so many")];
        assert_eq!(found, expected.map(|(line, word)| (line, format!("the word `{word}`"))));
    }

    #[test]
    fn word_lists_are_exempt_and_pages_are_not() {
        assert!(is_exempt("crates/companions/dictionaries/en/en_US.dic"));
        assert!(!is_exempt("docs/glossary.md") && !is_exempt("demo/README.md"));
    }
}
