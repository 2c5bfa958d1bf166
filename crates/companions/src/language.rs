//! Spelling correction and measurement of texts.
//!
//! Everything here is synchronous, deterministic and CPU-bound; callers on an async runtime move it to a
//! blocking thread. A dictionary is read at its first use and kept for the life of the process. English is
//! part of the binary; Swedish is read from the system's Hunspell dictionaries (see
//! `docs/decisions/0003-english-spelling.md`).
//!
//! ```
//! use companions::language::{Language, correct, measure};
//!
//! let corrected = correct("I recieve alot of mail.", Language::English)?;
//! assert_eq!(corrected.text, "I receive a lot of mail.");
//! assert_eq!(measure(&corrected.text, Language::English).words, 6);
//! # Ok::<(), companions::language::LanguageError>(())
//! ```

mod common;
mod dictionaries;
mod edits;
mod lexicon;
mod measures;
mod spelling;
mod syllables;
mod words;

use std::{path::PathBuf, str::FromStr};

pub use dictionaries::Dictionaries;
pub use measures::{Measures, measure};
pub use spelling::{Corrected, Correction};

/// A language that essays are written in, by the platform's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// `en`: American and British spelling side by side.
    English,
    /// `sv`.
    Swedish,
}

impl Language {
    /// The platform's code: `en` or `sv`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Swedish => "sv",
        }
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    /// Parses the platform's code. Case-sensitive, as course codes are.
    fn from_str(code: &str) -> Result<Self, LanguageError> {
        match code {
            "en" => Ok(Self::English),
            "sv" => Ok(Self::Swedish),
            _ => Err(LanguageError::Unknown),
        }
    }
}

/// Why a text could not be corrected. The cause is never the text, and a retry does not help.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    /// The system has no dictionary for the language. Installing it is enough: the next text finds it.
    #[error(
        "no {} dictionary {file} in {}: install the package {package} (Debian: apt-get install {package})",
        language.code(), list(searched)
    )]
    DictionaryMissing {
        /// The language that has no dictionary.
        language: Language,
        /// The file that was looked for; its `.dic` is expected beside it.
        file: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
        /// The directories that were searched, in this order.
        searched: Vec<PathBuf>,
    },
    /// A dictionary exists but cannot be read or parsed.
    #[error("the {} dictionary {} cannot be used: reinstall the package {package}", language.code(), path.display())]
    DictionaryUnusable {
        /// The language of the dictionary.
        language: Language,
        /// The `.aff` file.
        path: PathBuf,
        /// The Debian package that brings it.
        package: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A language code other than `en` and `sv`.
    #[error("unknown language code: use en or sv")]
    Unknown,
}

impl LanguageError {
    /// The stable code in events and answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DictionaryMissing { .. } => "dictionary_missing",
            Self::DictionaryUnusable { .. } => "dictionary_unusable",
            Self::Unknown => "unknown_language",
        }
    }
}

fn list(directories: &[PathBuf]) -> String {
    directories.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Corrects `text` with the dictionaries of the system.
///
/// # Errors
/// As [`Dictionaries::correct`].
pub fn correct(text: &str, language: Language) -> Result<Corrected, LanguageError> {
    static SYSTEM: Dictionaries = Dictionaries::system();
    SYSTEM.correct(text, language)
}
