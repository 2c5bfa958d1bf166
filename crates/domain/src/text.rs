//! Pieces of the sentences in reasons and refusals.

/// Items separated by commas, as in "spellcheck, nlp"; "nothing" when there are none.
pub(crate) fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let list: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

/// A number with its noun, as in "1 essay" or "6 essays".
pub(crate) fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
