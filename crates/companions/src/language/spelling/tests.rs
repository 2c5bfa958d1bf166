use proptest::prelude::*;

use super::*;
use crate::language::{Dictionaries, Language, correct as correct_in};

fn english(text: &str) -> String {
    correct_in(text, Language::English).unwrap().text
}

/// Corrects with the Swedish dictionary of the system; `None`, with a message, when there is none.
fn swedish(text: &str) -> Option<String> {
    match correct_in(text, Language::Swedish) {
        Ok(corrected) => Some(corrected.text),
        Err(error) => {
            eprintln!("left out: {error}");
            None
        }
    }
}

#[test]
fn what_pupils_misspell_is_corrected() {
    for (written, meant) in [
        ("teh", "the"),
        ("recieve", "receive"),
        ("becuase", "because"),
        ("definately", "definitely"),
        ("alot", "a lot"),
        ("thier", "their"),
        ("wich", "which"),
        ("freind", "friend"),
        ("tommorow", "tomorrow"),
        ("untill", "until"),
        ("realy", "really"),
        ("beleive", "believe"),
        ("dissapear", "disappear"),
        ("eachother", "each other"),
        ("storys", "stories"),
        ("filosophy", "philosophy"),
        ("dont", "don't"),
        ("doesent", "doesn't"),
        ("ive", "I've"),
        ("i", "I"),
        ("wensday", "Wednesday"),
    ] {
        assert_eq!(english(written), meant, "{written}");
    }
}

#[test]
fn what_is_no_misspelling_stays() {
    for text in [
        "The colour of my grey jumper; the color of my gray sweater.",
        "I realise that she realized it.",
        "Then Åsa, Zoë, Łukasz and Siobhán met Nguyễn.",
        "The headmaster of Norrby and his wife Birgitta.",
        "Filip, Elsa and Signe play.\nFolke does not.",
        "Ture left. Enar too. Noe and Mian stay. Lief? Dian! Leif.",
        "NATO, IKEA and the EPA",
        "TikTok, iPhone, YouTube, McDonalds",
        "It cost 2,400 kronor, 4pm, b2b, 1800s.",
        "See https://exampel.org/teh?wich=1 and www.freind.se or teh@exampel.org, #recieve @thier",
        "It was luke warm.",
        "smörgåsbord och fika",
        "xqzzt vvrrk",
    ] {
        assert_eq!(english(text), text);
    }
}

#[test]
fn the_case_pattern_of_a_word_is_kept() {
    assert_eq!(english("Becuase of that. “Freinds stay.”"), "Because of that. “Friends stay.”");
    assert_eq!(english("TEH END"), "TEH END");
    assert_eq!(english("in april"), "in April");
}

#[test]
fn a_sentence_may_open_with_a_short_word_whose_letters_are_swapped() {
    for (written, meant) in [
        ("Teh cat", "The cat"),
        ("Yes. Thsi is it.", "Yes. This is it."),
        ("“Waht?” Tehy ask. Thier dog", "“What?” They ask. Their dog"),
        ("Adn then", "And then"),
    ] {
        assert_eq!(english(written), meant);
    }
}

#[test]
fn decomposed_letters_are_checked_like_composed_ones() {
    use unicode_normalization::UnicodeNormalization as _;
    let decomposed = |text: &str| text.nfd().collect::<String>();
    let text = decomposed("Zoë and Siobhán are naïve, but thier café is fine.");
    assert_eq!(english(&text), text.replace("thier", "their"));

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sv_SE.aff"), "SET UTF-8\nTRY esianrtolcdugmphbyfvkwåäö\n").unwrap();
    std::fs::write(dir.path().join("sv_SE.dic"), "2\nläraren\nläser\n").unwrap();
    let dictionaries = Dictionaries::with_dir(dir.path());
    for text in ["läraren läserr".to_owned(), decomposed("läraren läserr")] {
        let corrected = dictionaries.correct(&text, Language::Swedish).unwrap();
        let replacements: Vec<_> = corrected.corrections.iter().map(|c| c.replacement.as_str()).collect();
        assert_eq!(replacements, ["läser"], "{text}");
    }
}

#[test]
fn a_text_with_curly_apostrophes_gets_curly_apostrophes() {
    assert_eq!(english("It’s true, I dont know"), "It’s true, I don’t know");
    assert_eq!(english("It's true, I dont know, she does’nt"), "It's true, I don't know, she doesn’t");
}

#[test]
fn marks_line_ends_and_blanks_are_kept() {
    let text = "\u{feff}Teh dog\r\n\r\n\t“teh\u{a0}cat”\rteh  end \n";
    assert_eq!(english(text), "\u{feff}The dog\r\n\r\n\t“the\u{a0}cat”\rthe  end \n");
    assert_eq!(english(" \r\n\t\r "), " \r\n\t\r ");
}

#[test]
fn ranges_point_into_the_original() {
    let text = "Zoë was realy, realy late";
    let corrected = correct_in(text, Language::English).unwrap();
    let written: Vec<_> = corrected.corrections.iter().map(|c| &text[c.from.clone()]).collect();
    assert_eq!(written, ["realy", "realy"]);
    assert_eq!(corrected.word_count, 5);
}

#[test]
fn debug_shows_no_text() {
    let corrected = correct_in("my secret freind", Language::English).unwrap();
    let shown = format!("{corrected:?} {:?}", corrected.corrections);
    assert!(!shown.contains("secret") && !shown.contains("friend"), "{shown}");
}

#[test]
fn the_number_of_look_ups_per_text_is_bounded() {
    let lexicon = Lexicon::english().unwrap();
    let garbage = (0..30_000).map(letters_of).collect::<Vec<_>>().join(" ");
    assert!(garbage.len() > 200_000);
    let mut reader = Reader::new(&garbage, lexicon);
    let (_, words) = reader.read();
    assert_eq!(words, 30_000);
    assert_eq!(reader.meant.len(), MAX_LOOKUPS);
}

/// A word for a number, with letters that no language combines.
fn letters_of(n: u32) -> String {
    n.to_string().chars().map(|digit| char::from(b'q' + digit as u8 - b'0')).chain("qzx".chars()).collect()
}

#[test]
fn a_repeated_misspelling_is_looked_up_once() {
    let text = "realy ".repeat(1_000);
    let mut reader = Reader::new(&text, Lexicon::english().unwrap());
    assert_eq!(reader.read().0.len(), 1_000);
    assert_eq!(reader.meant.len(), 1);
}

#[test]
fn a_very_long_word_is_not_looked_up() {
    let text = "a".repeat(200_000);
    let mut reader = Reader::new(&text, Lexicon::english().unwrap());
    assert_eq!(reader.read(), (vec![], 1));
    assert!(reader.meant.is_empty());
}

#[test]
fn swedish_is_corrected_and_its_compounds_and_names_are_left_alone() {
    let text = "Komunen borde hjälpa alla tilsammans, sa Åsa. Glosläxan är fortfarrande svår, tycker Łukasz.";
    let Some(corrected) = swedish(text) else { return };
    assert_eq!(
        corrected,
        "Kommunen borde hjälpa alla tillsammans, sa Åsa. Glosläxan är fortfarande svår, tycker Łukasz."
    );
}

#[test]
fn dictionaries_are_shared_between_threads() {
    let dictionaries = Dictionaries::system();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(dictionaries.correct("teh", Language::English).unwrap().text, "the"));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_keeps_its_bytes_outside_the_corrections(text in any::<String>()) {
        bytes_outside_corrections_are_kept(&text)?;
    }

    #[test]
    fn letters_and_marks_keep_their_bytes_outside_the_corrections(
        text in "([Tt]eh|alot|dont|[a-zA-Zåé’']{1,9}|[ .,!?\r\n\t“”\u{feff}0-9@#]){0,40}"
    ) {
        bytes_outside_corrections_are_kept(&text)?;
    }

    #[test]
    fn what_was_corrected_stays_corrected(
        text in "(([a-z]{1,4}|realy|teh|alot|wich|thats|untill|eachother|dont)[ .]){1,20}"
    ) {
        let once = correct_in(&text, Language::English).unwrap();
        let twice = correct_in(&once.text, Language::English).unwrap();
        prop_assert!(twice.corrections.len() <= once.corrections.len());
        for correction in &once.corrections {
            prop_assert_eq!(&english(&correction.replacement), &correction.replacement);
        }
    }
}

/// Replaces each correction by its original word and expects the original text.
fn bytes_outside_corrections_are_kept(text: &str) -> Result<(), TestCaseError> {
    let corrected = correct_in(text, Language::English).unwrap();
    let mut undone = String::new();
    let (mut original_at, mut corrected_at) = (0, 0);
    for Correction { from, replacement } in &corrected.corrections {
        prop_assert!(original_at <= from.start && from.start < from.end);
        let kept = from.start - original_at;
        undone.push_str(&corrected.text[corrected_at..corrected_at + kept]);
        corrected_at += kept;
        prop_assert_eq!(&corrected.text[corrected_at..corrected_at + replacement.len()], replacement);
        corrected_at += replacement.len();
        undone.push_str(&text[from.clone()]);
        original_at = from.end;
    }
    undone.push_str(&corrected.text[corrected_at..]);
    prop_assert_eq!(undone, text);
    Ok(())
}
