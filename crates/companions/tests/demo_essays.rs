//! The demo essays as golden texts: what is corrected in them and what is measured.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its essays has failed")]

use std::{fs, path::PathBuf};

use companions::language::{Language, LanguageError, Measures, correct, measure};

fn essays(class: &str) -> Vec<(String, String)> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo", class].iter().collect();
    let mut essays: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    essays.sort();
    essays
}

fn figures(text: &str, language: Language) -> String {
    let Measures { words, sentences, mean_sentence_length, type_token_ratio, lix, flesch } =
        measure(text, language);
    let flesch = flesch.map(|flesch| format!(", Flesch {flesch:.1}")).unwrap_or_default();
    format!(
        "{words} words, {sentences} sentences of {mean_sentence_length:.1}, TTR {type_token_ratio:.3}, LIX {lix:.1}{flesch}"
    )
}

fn corrections(text: &str, language: Language) -> Result<Vec<String>, LanguageError> {
    let corrected = correct(text, language)?;
    Ok(corrected
        .corrections
        .iter()
        .map(|c| format!("{} → {}", &text[c.from.clone()], c.replacement))
        .collect())
}

#[test]
fn the_english_class_is_corrected_and_measured_as_recorded() {
    let report: Vec<_> = essays("class-9b")
        .iter()
        .map(|(name, text)| {
            let corrections = corrections(text, Language::English).unwrap().join(", ");
            format!("{name}: {}\n  {corrections}", figures(text, Language::English))
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn the_swedish_class_is_measured_as_recorded() {
    let report: Vec<_> = essays("klass-9b")
        .iter()
        .map(|(name, text)| format!("{name}: {}", figures(text, Language::Swedish)))
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

/// Not a golden text: the dictionary is the system's, in the version that is there.
#[test]
fn the_swedish_class_is_corrected_where_the_system_has_a_dictionary() {
    let mut all = Vec::new();
    for (_, text) in essays("klass-9b") {
        match corrections(&text, Language::Swedish) {
            Ok(corrections) => all.extend(corrections),
            Err(error) => return eprintln!("left out: {error}"),
        }
    }
    for expected in
        ["alvarligt → allvarligt", "tilsammans → tillsammans", "Komunen → Kommunen", "sofan → soffan"]
    {
        assert!(all.iter().any(|correction| correction == expected), "{expected} is not in {all:?}");
    }
}

#[test]
fn one_essay_of_the_english_class_is_blank() {
    let blank: Vec<_> = essays("class-9b")
        .into_iter()
        .filter(|(_, text)| text.trim().is_empty())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(blank, ["s-017"]);
}

#[test]
fn the_other_essays_are_as_long_as_an_essay_is() {
    for (name, text) in essays("class-9b").into_iter().filter(|(name, _)| name != "s-017") {
        assert!((150..=500).contains(&measure(&text, Language::English).words), "{name}");
    }
}

#[test]
fn the_english_class_keeps_its_awkward_line_ends() {
    let all: String = essays("class-9b").into_iter().map(|(_, text)| text).collect();
    assert!(all.contains("\r\n"), "some essays end their lines in CR LF");
    assert!(all.replace("\r\n", "").contains('\r'), "one essay holds a lone CR");
    assert!(all.contains('\u{feff}'), "one essay begins with a byte order mark");
    assert!(all.contains('’') && all.contains('\''), "there are apostrophes of both kinds");
}
