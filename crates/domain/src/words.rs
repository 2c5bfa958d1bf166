//! Closed sets of words: enums whose values are exact strings on the wire, in the database and in answers.

/// A text that is not one of a closed set of words. It does not repeat the text, which may be anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {set}")]
pub struct UnknownWord {
    /// What was expected, as in "not a known phase".
    pub set: &'static str,
}

/// Declares an enum together with its words, in both directions and for serde.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $set:literal {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The exact word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word).ok_or($crate::UnknownWord { set: $set })
            }
        }
    };
}
pub(crate) use words;

/// Names in a row, as in "spellcheck, nlp"; "nothing" when there are none.
pub(crate) fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let list: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

/// A number with its noun, as in "1 essay" or "6 essays".
pub(crate) fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
