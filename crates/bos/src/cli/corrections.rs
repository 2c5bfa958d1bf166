//! Which words a spellcheck changed: told by comparing two texts, since no event and no table holds a pupil's words.

use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// How long one comparison may take; after that it is coarser.
const PATIENCE: Duration = Duration::from_millis(500);

/// Words that were replaced by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Correction {
    /// As the pupil wrote them.
    pub(super) from: String,
    /// As they were corrected.
    pub(super) to: String,
}

/// What was changed, in the order of the text.
pub(super) fn between(original: &str, corrected: &str) -> Vec<Correction> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_unicode_words(original, corrected);
    let mut corrections = Vec::new();
    let (mut from, mut to) = (String::new(), String::new());
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Delete => from.push_str(change.value()),
            ChangeTag::Insert => to.push_str(change.value()),
            ChangeTag::Equal => take(&mut corrections, &mut from, &mut to),
        }
    }
    take(&mut corrections, &mut from, &mut to);
    corrections
}

fn take(corrections: &mut Vec<Correction>, from: &mut String, to: &mut String) {
    if !from.is_empty() || !to.is_empty() {
        corrections.push(Correction { from: from.trim().to_owned(), to: to.trim().to_owned() });
        from.clear();
        to.clear();
    }
}

/// The first of them for a column: `recieve→receive, teh→the, …`.
pub(super) fn shown(corrections: &[Correction], most: usize) -> String {
    let mut words: Vec<String> =
        corrections.iter().take(most).map(|one| format!("{}→{}", one.from, one.to)).collect();
    if corrections.len() > most {
        words.push("…".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{between, shown};

    #[test]
    fn corrected_words_are_found_in_the_order_of_the_text() {
        let corrections =
            between("I recieve alot of\r\nmail,  and teh wich dont.", "I receive a lot of\r\nmail,  and the witch don't.");
        let expected = "recieve→receive, alot→a lot, teh→the, wich→witch, dont→don't";
        assert_eq!(shown(&corrections, 5), expected);
        assert_eq!(shown(&corrections, 2), "recieve→receive, alot→a lot, …");
    }

    #[test]
    fn the_same_text_has_no_corrections() {
        assert!(between("Å, så fint.\n", "Å, så fint.\n").is_empty());
    }
}
