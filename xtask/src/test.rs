//! `cargo xtask test`: every test of the workspace, with the servers they need.

use std::time::Instant;

use anyhow::Result;
use testbed::{Postgres, postgres, process};

use crate::{
    left_out::{self, LeftOut},
    workspace,
};

/// Run every test, those that need `PostgreSQL` included; say what was started and what was left out
///
/// Starts a throw-away `PostgreSQL` (or uses the one of `BOS_TEST_DATABASE_URL`) and runs `cargo test --workspace
/// --locked`. Words are passed on to cargo, words after `--` to the tests: `cargo xtask test -p store -- --nocapture`.
/// The exit code is cargo's.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// For cargo, such as `-p store`; a chosen package takes the place of `--workspace`
    #[arg(allow_hyphen_values = true, value_name = "CARGO_ARGS")]
    cargo: Vec<String>,
    /// For the tests themselves, such as `--nocapture`
    #[arg(last = true, value_name = "TEST_ARGS")]
    tests: Vec<String>,
}

impl Args {
    fn words(&self) -> Vec<&str> {
        let mut words = vec!["test", "--locked"];
        if !self.cargo.iter().any(|word| word.starts_with("-p") || word.starts_with("--package")) {
            words.push("--workspace");
        }
        words.extend(self.cargo.iter().map(String::as_str));
        if !self.tests.is_empty() {
            words.push("--");
            words.extend(self.tests.iter().map(String::as_str));
        }
        words
    }
}

/// Runs the tests and gives cargo's exit code.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let begun = Instant::now();
    let postgres = Postgres::start()?;
    eprintln!("started: {postgres} in {:.1} s", begun.elapsed().as_secs_f64());
    let left_out = LeftOut::new()?;
    let status = process::run(
        workspace::cargo(args.words())
            .env(postgres::URL_VARIABLE, postgres.url())
            .env(left_out::VARIABLE, left_out.path()),
    )?;
    eprintln!("\nstarted:  {postgres}");
    let lines = left_out.lines()?;
    for line in &lines {
        eprintln!("left out: {line}");
    }
    if lines.is_empty() {
        eprintln!("left out: nothing that a test reported");
    }
    Ok(process::exit_code(status))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn words(typed: &str) -> String {
        let crate::Task::Test(args) =
            crate::Task::parse_from(format!("xtask test {typed}").split_whitespace())
        else {
            panic!("{typed} is not the task `test`")
        };
        args.words().join(" ")
    }

    #[test]
    fn nothing_more_said_means_every_test_of_the_workspace() {
        assert_eq!(words(""), "test --locked --workspace");
        assert_eq!(Args::default().words().join(" "), words(""));
    }

    #[test]
    fn words_go_to_cargo_and_words_after_two_dashes_to_the_tests() {
        assert_eq!(words("-p store inbox"), "test --locked -p store inbox");
        assert_eq!(words("-- --nocapture"), "test --locked --workspace -- --nocapture");
        assert_eq!(words("--doc -- --exact a"), "test --locked --workspace --doc -- --exact a");
    }
}
