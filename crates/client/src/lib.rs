//! The documents of the API, and a typed client of its HTTP.
//!
//! The server uses the documents alone: the client is behind the feature `http`, which is on by default, so that `api` compiles
//! without it. The feature `openapi` lets the documents describe themselves, which only the server needs.

pub mod documents;
#[cfg(feature = "http")]
mod failure;
#[cfg(feature = "http")]
mod http;

#[cfg(feature = "http")]
pub use failure::{Failure, Problem};
#[cfg(feature = "http")]
pub use http::{Client, read};

/// Replaces characters that control a terminal in a text from outside: control characters and marks of the text direction.
pub fn clean(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
