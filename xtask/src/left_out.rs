//! What a test run left out, and why.
//!
//! A test that cannot do its work on this machine does not fail and does not pass in silence: it says so. The
//! convention is one variable and one small function in the test, so that no crate of ours is needed for it:
//!
//! ```
//! # use std::{env, fs, io::Write, path::PathBuf};
//! /// Says that something was left out, and what would let it run.
//! fn left_out(name: &str, line: &str) {
//!     // Not `eprintln!`, which the test harness keeps to itself while tests pass.
//!     writeln!(std::io::stderr(), "left out: {line}").expect("stderr takes a line");
//!     if let Some(folder) = env::var_os("BOS_TEST_LEFT_OUT") {
//!         fs::write(PathBuf::from(folder).join(name), line).expect("the note can be written");
//!     }
//! }
//! left_out("swedish-spelling", "Swedish spelling: install hunspell-sv");
//! ```
//!
//! `BOS_TEST_LEFT_OUT` names the folder of one run; the file is named for what is missing, so two tests that miss the
//! same thing make one line of the summary that `cargo xtask test` ends with.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The variable that tells tests where to write what they left out.
pub(crate) const VARIABLE: &str = "BOS_TEST_LEFT_OUT";

/// The folder of one run; it is removed with this value.
pub(crate) struct LeftOut(TempDir);

impl LeftOut {
    /// An empty folder under the target folder.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("left-out-").tempdir_in(testbed::target_folder()?);
        Ok(Self(folder.context("making the folder for what is left out")?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What tests wrote so far, in the order of the file names.
    pub(crate) fn lines(&self) -> Result<Vec<String>> {
        let mut notes: Vec<_> =
            fs::read_dir(self.path())?.map(|note| Ok(note?.path())).collect::<Result<_>>()?;
        notes.sort();
        notes.iter().map(|note| Ok(fs::read_to_string(note)?.trim().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tests_that_miss_the_same_thing_make_one_line() {
        let left_out = LeftOut::new().unwrap();
        for (name, line) in
            [("b", "Kafka: install a JDK\n"), ("a", "Swedish"), ("b", "Kafka: install a JDK\n")]
        {
            fs::write(left_out.path().join(name), line).unwrap();
        }
        assert_eq!(left_out.lines().unwrap(), ["Swedish", "Kafka: install a JDK"]);
    }
}
