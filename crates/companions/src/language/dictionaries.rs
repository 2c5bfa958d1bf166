//! Finds the dictionaries, and reads each one once.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{Corrected, Language, LanguageError, lexicon::Lexicon, spelling};

const SWEDISH_PACKAGE: &str = "hunspell-sv";
const SWEDISH_FILE: &str = "sv_SE.aff";

/// The folders of Hunspell dictionaries on Debian and its derivatives: the current and the older one.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/share/hunspell", "/usr/share/myspell/dicts"];

/// The dictionaries of one process. Each is read at its first use and then kept. A failure is not kept, so a
/// dictionary that is installed later is found without a restart.
#[derive(Debug, Default)]
pub struct Dictionaries {
    directory: Option<PathBuf>,
    swedish: OnceLock<Lexicon>,
    reading: Mutex<()>,
}

impl Dictionaries {
    /// English from the binary, Swedish from the directories of the system.
    pub const fn system() -> Self {
        Self { directory: None, swedish: OnceLock::new(), reading: Mutex::new(()) }
    }

    /// The same, with Swedish (`sv_SE.aff`, `sv_SE.dic`) from `directory` and from nowhere else.
    pub fn with_dir(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..Self::system() }
    }

    /// Corrects the misspelt words of `text` that have one plausible reading and leaves every other byte as it is: words
    /// it is not sure of, names, capitals, numbers, addresses, quotation marks, blanks and line ends.
    ///
    /// The first call for a language reads its dictionary (English about 0.1 s, Swedish 0.2 s).
    ///
    /// # Errors
    /// [`LanguageError::DictionaryMissing`] and [`LanguageError::DictionaryUnusable`], for Swedish.
    pub fn correct(&self, text: &str, language: Language) -> Result<Corrected, LanguageError> {
        Ok(spelling::correct(text, self.lexicon(language)?))
    }

    fn lexicon(&self, language: Language) -> Result<&Lexicon, LanguageError> {
        match language {
            Language::English => Lexicon::english(),
            Language::Swedish => self.swedish(),
        }
    }

    fn swedish(&self) -> Result<&Lexicon, LanguageError> {
        if let Some(lexicon) = self.swedish.get() {
            return Ok(lexicon);
        }
        // One thread reads at a time, because a second copy would waste its memory. The lock guards no data,
        // so poisoning is ignored.
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lexicon) = self.swedish.get() {
            return Ok(lexicon);
        }
        let lexicon = self.read_swedish()?;
        Ok(self.swedish.get_or_init(|| lexicon))
    }

    fn read_swedish(&self) -> Result<Lexicon, LanguageError> {
        let searched = match &self.directory {
            Some(directory) => vec![directory.clone()],
            None => SYSTEM_DIRECTORIES.iter().map(PathBuf::from).collect(),
        };
        let Some(path) = searched.iter().map(|dir| dir.join(SWEDISH_FILE)).find(|path| path.exists()) else {
            return Err(LanguageError::DictionaryMissing {
                language: Language::Swedish,
                file: SWEDISH_FILE,
                package: SWEDISH_PACKAGE,
                searched,
            });
        };
        read(&path)
            .map(|dictionary| Lexicon::new(Language::Swedish, dictionary))
            .map_err(|source| unusable(Language::Swedish, path, SWEDISH_PACKAGE, source))
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn read(aff: &Path) -> Result<spellbook::Dictionary, Cause> {
    let rules = fs::read_to_string(aff)?;
    let words = fs::read_to_string(aff.with_extension("dic"))?;
    spellbook::Dictionary::new(&rules, &words).map_err(|error| error.to_string().into())
}

fn unusable(language: Language, path: PathBuf, package: &'static str, source: Cause) -> LanguageError {
    LanguageError::DictionaryUnusable { language, path, package, source }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    const TINY_AFF: &str = "SET UTF-8\nTRY esianrtolcdugmphbyfvkwåäö\n";
    const TINY_DIC: &str = "4\nkatten\nsover\nhela\ndagen\n";

    #[test]
    fn a_missing_dictionary_names_the_package_and_the_places() {
        let empty = tempfile::tempdir().unwrap();
        let error = Dictionaries::with_dir(empty.path()).correct("Hej", Language::Swedish).unwrap_err();
        assert_eq!(error.code(), "dictionary_missing");
        let message = error.to_string();
        assert!(message.contains("hunspell-sv"), "{message}");
        assert!(message.contains(&empty.path().display().to_string()), "{message}");
    }

    #[test]
    fn a_dictionary_that_is_installed_later_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dictionaries = Dictionaries::with_dir(dir.path());
        dictionaries.correct("katen", Language::Swedish).unwrap_err();
        fs::write(dir.path().join("sv_SE.aff"), TINY_AFF).unwrap();
        fs::write(dir.path().join("sv_SE.dic"), TINY_DIC).unwrap();
        assert_eq!(dictionaries.correct("katen sover", Language::Swedish).unwrap().text, "katten sover");
    }

    #[test]
    fn a_dictionary_in_another_encoding_is_unusable_and_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sv_SE.aff"), b"SET ISO8859-1\nTRY \xe5\xe4\xf6\n").unwrap();
        fs::write(dir.path().join("sv_SE.dic"), "0\n").unwrap();
        let error = Dictionaries::with_dir(dir.path()).correct("Hej", Language::Swedish).unwrap_err();
        assert_eq!(error.code(), "dictionary_unusable");
        assert!(error.source().is_some());
    }

    #[test]
    fn english_needs_no_file() {
        let nowhere = Dictionaries::with_dir("/nonexistent");
        assert_eq!(nowhere.correct("teh", Language::English).unwrap().text, "the");
    }
}
