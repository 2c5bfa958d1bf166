//! The repository's rules as tests: what the compiler and clippy do not check.
//!
//! Each file holds the rules of one kind: the check as a function over its input, the test that runs it on this
//! repository, and a test that gives it a bad example. A check returns [`Breach`]es, which say where, what is wrong and
//! how to correct it.

mod arrows;
mod chaos;
mod circles;
mod commands;
mod data;
mod decisions;
mod events;
mod links;
mod manifest;
mod metrics;
mod pages;
mod paths;
mod routes;
mod settings;
mod sources;
mod vocabulary;
mod wording;
mod words;

use std::fmt;

/// One place where the repository breaks a rule.
#[derive(Debug, PartialEq)]
struct Breach {
    path: String,
    line: usize,
    what: String,
    fix: String,
}

impl Breach {
    fn new(path: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.fix)
    }
}

/// Fails with one line per breach.
fn assert_none(breaches: &[Breach]) {
    let lines: Vec<_> = breaches.iter().map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
#[should_panic(expected = "src/a.rs:3: a lamp is lit; put it out")]
fn a_breach_names_the_file_the_line_and_the_fix() {
    assert_none(&[Breach::new("src/a.rs", 3, "a lamp is lit", "put it out")]);
}
