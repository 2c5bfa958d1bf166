//! One language's dictionary and the judgement which of its words a misspelling stands for.

use std::sync::LazyLock;

use spellbook::Dictionary;

use super::{
    Language, LanguageError,
    common::{self, CommonWords, Commonness},
    edits,
};

/// Words with which a sentence often starts and which are no name, whatever two of their letters are swapped.
const OPENERS: [&str; 36] = [
    "about", "after", "also", "and", "are", "because", "but", "can", "could", "does", "every", "for", "from",
    "have", "how", "some", "that", "the", "their", "then", "there", "these", "they", "this", "those", "what",
    "when", "where", "which", "while", "who", "why", "with", "would", "you", "your",
];

/// From this many letters on, a word at the start of a sentence may be a misspelling; a shorter one is as likely a name.
const SHORTEST_OPENING: usize = 6;

/// Words of one language: which exist, which are common, which is meant.
pub(super) struct Lexicon {
    language: Language,
    dictionary: Dictionary,
    common: Option<&'static CommonWords>,
}

/// Where a word stands and how it is written: how much of it may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// All lower case.
    Inside,
    /// One capital, because a sentence starts here: a word like any other, or a name.
    Opening,
}

impl Lexicon {
    pub(super) fn new(language: Language, dictionary: Dictionary) -> Self {
        let common = match language {
            Language::English => Some(&*common::ENGLISH),
            Language::Swedish => None,
        };
        Self { language, dictionary, common }
    }

    /// The English of the binary: American words, their British spellings, and what pupils say that is younger than both.
    pub(super) fn english() -> Result<&'static Self, LanguageError> {
        static ENGLISH: LazyLock<Result<Lexicon, String>> = LazyLock::new(|| {
            let words = concat!(
                include_str!("../../dictionaries/en/en_US.dic"),
                "\n",
                include_str!("../../dictionaries/en/british.txt"),
                include_str!("../../dictionaries/en/school.txt"),
            );
            Dictionary::new(include_str!("../../dictionaries/en/en_US.aff"), words)
                .map(|dictionary| Lexicon::new(Language::English, dictionary))
                .map_err(|error| error.to_string())
        });
        ENGLISH.as_ref().map_err(|reason| LanguageError::DictionaryUnusable {
            language: Language::English,
            path: "(in the binary)".into(),
            package: "bos",
            source: reason.as_str().into(),
        })
    }

    /// Whether the dictionary holds `word`, as it is or as the start of a sentence.
    pub(super) fn knows(&self, word: &str) -> bool {
        // The dictionary holds the letter i; in an English essay it is the pronoun.
        self.dictionary.check(word) && !(self.language == Language::English && word == "i")
    }

    /// The word that was meant by the unknown `word`, in the case it should have, if there is one to be sure of.
    pub(super) fn meant(&self, word: &str, place: Place) -> Option<String> {
        let lower = word.to_lowercase();
        if self.language == Language::English && !lower.replace('’', "'").is_ascii() {
            return None; // another language's word
        }
        if place == Place::Inside {
            // April, Friday, English, I; other names in lower case ("luke warm") are left alone.
            let capitalised = capitalised(&lower);
            if self.knows(&capitalised) && !self.knows(&lower) {
                return self
                    .common
                    .is_some_and(|common| common.commonness(&capitalised) < Commonness::Rare)
                    .then_some(capitalised);
            }
        }
        let (candidate, weight) = self.likeliest(&lower)?;
        match place {
            Place::Inside => Some(candidate),
            Place::Opening => self.is_plain_slip(&lower, &candidate, weight).then(|| capitalised(&candidate)),
        }
    }

    /// The candidate that is likeliest, with the weight of the slip. Among equals the lighter slip wins, then one word over two,
    /// then the dictionary's own order.
    fn likeliest(&self, lower: &str) -> Option<(String, u32)> {
        let mut suggested = Vec::new();
        self.dictionary.suggester().with_ngram_suggestions(false).suggest(lower, &mut suggested);
        let limit = self.heaviest_slip(lower, &suggested);
        let near = self.common.into_iter().flat_map(|common| common.near(lower)).map(str::to_owned);
        suggested
            .into_iter()
            .filter(|candidate| common::within_reach(lower, candidate))
            .chain(near)
            .filter_map(|candidate| {
                let weight = edits::weight(lower, &candidate);
                let rarity = self.rarity(&candidate)?;
                (weight <= limit).then_some((candidate, weight, rarity))
            })
            .min_by_key(|(candidate, weight, rarity)| (weight + rarity, *weight, candidate.contains(' ')))
            .map(|(candidate, weight, _)| (candidate, weight))
    }

    /// The heaviest slip that is corrected in `lower`.
    fn heaviest_slip(&self, lower: &str, suggested: &[String]) -> u32 {
        // Swedish writes compounds as one word: what falls into two words is likely a compound that the dictionary lacks.
        if self.language == Language::Swedish && suggested.iter().any(|candidate| candidate.contains(' ')) {
            return edits::SLIGHT;
        }
        match lower.chars().count() {
            0..=2 => edits::SLIGHT, // a word so short has a neighbour in every direction
            3..=4 => edits::USUAL,
            5..=7 => 4,
            _ => 5,
        }
    }

    /// What the candidate's rarity adds to its weight; `None` if it is no candidate.
    fn rarity(&self, candidate: &str) -> Option<u32> {
        let Some(common) = self.common else {
            return (!candidate.contains([' ', '-'])).then_some(0);
        };
        if candidate.contains([' ', '-']) {
            let everyday = candidate.split(' ').all(|part| common.commonness(part) == Commonness::Everyday);
            return everyday.then_some(0);
        }
        let (word, ending) = match candidate.split_once('\'') {
            Some((noun, "s")) => (noun, 2),
            Some(_) => return Some(0), // don't, I've: contractions are few and everyday
            None => (candidate, 0),
        };
        let rarity = match common.commonness(word) {
            Commonness::Everyday => 0,
            Commonness::Frequent => 1,
            Commonness::Familiar => 2,
            Commonness::Rare => 4,
        };
        Some(rarity + ending)
    }

    /// Whether an unknown word at the start of a sentence is a misspelt word rather than a name: few names are an everyday
    /// word but for a letter.
    fn is_plain_slip(&self, lower: &str, candidate: &str, weight: u32) -> bool {
        if candidate.contains('\'') && weight == edits::SLIGHT {
            return true;
        }
        let split = candidate.contains(' ');
        if self.common.is_some() && OPENERS.contains(&candidate) && edits::is_swap(lower, candidate) {
            return true; // Teh cat
        }
        let likely = self.common.map_or(weight <= edits::SLIGHT, |common| {
            split || common.commonness(candidate) == Commonness::Everyday
        });
        let long = split || lower.chars().count() >= SHORTEST_OPENING;
        likely && long && weight <= edits::USUAL
    }
}

impl std::fmt::Debug for Lexicon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lexicon").field("language", &self.language).finish_non_exhaustive()
    }
}

/// `word` with a capital first letter.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
