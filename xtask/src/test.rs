//! `cargo xtask test`: every test of the workspace, with the servers they need.

use std::process::Stdio;

use anyhow::Result;
use testbed::{
    kafka::{self, tls::Tls},
    postgres, process,
};

use crate::{
    left_out::{self, LeftOut},
    servers::Servers,
    workspace,
};

/// Run every test, those that need `PostgreSQL` and Kafka included; say what was started and what was left out
///
/// Starts a throw-away `PostgreSQL` and a throw-away Kafka (or uses those of `BOS_TEST_DATABASE_URL` and
/// `BOS_TEST_KAFKA`) and runs `cargo test --workspace --locked`. Words are passed on to cargo, words after `--` to the tests: `cargo xtask test -p store -- --nocapture`.
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

    /// What compiles the tests and runs none, unless the words ask for what does not go with it.
    fn words_to_compile(&self) -> Option<Vec<&str>> {
        if self.cargo.iter().any(|word| OF_ANOTHER_KIND.contains(&word.as_str())) {
            return None;
        }
        let words = self.words().into_iter().take_while(|word| *word != "--");
        Some(words.chain(["--no-run", QUIET_ABOUT_PROGRAMS]).collect())
    }
}

/// Words for cargo with which there is nothing to compile beforehand.
const OF_ANOTHER_KIND: [&str; 4] = ["--doc", "--help", "-h", "--no-run"];

/// Cargo would else list every test program. Warnings and errors go to standard error as ever, the JSON to nowhere.
const QUIET_ABOUT_PROGRAMS: &str = "--message-format=json-render-diagnostics";

/// Compiles the tests, which takes as long as the servers' start at least, and gives cargo's exit code.
fn compile(args: &Args) -> Result<u8> {
    let Some(words) = args.words_to_compile() else { return Ok(0) };
    let status = process::run(workspace::cargo(words).stdout(Stdio::null()))?;
    Ok(process::exit_code(status))
}

/// Runs the tests and gives cargo's exit code.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let (servers, compiled) = Servers::start_while(|| compile(args))?;
    if compiled != 0 {
        return Ok(compiled);
    }
    let left_out = LeftOut::new()?;
    let encrypted = servers.kafka.tls().map(Tls::variables);
    let status = process::run(
        workspace::cargo(args.words())
            .envs(encrypted.into_iter().flatten())
            .env(postgres::URL_VARIABLE, servers.postgres.url())
            .env(kafka::ADDRESS_VARIABLE, servers.kafka.bootstrap_servers())
            .env(left_out::VARIABLE, left_out.path()),
    )?;
    eprintln!("\nstarted:  {}\nstarted:  {}", servers.postgres, servers.kafka);
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

    fn args(typed: &str) -> Args {
        let crate::Task::Test(args) =
            crate::Task::parse_from(format!("xtask test {typed}").split_whitespace())
        else {
            panic!("{typed} is not the task `test`")
        };
        args
    }

    fn words(typed: &str) -> String {
        args(typed).words().join(" ")
    }

    #[test]
    fn what_is_compiled_beforehand_is_what_is_tested() {
        let compile = |typed: &str| {
            let args = args(typed);
            args.words_to_compile().map(|words| words.join(" ").replace(QUIET_ABOUT_PROGRAMS, "QUIET"))
        };
        let compiled = compile("-p store inbox -- --nocapture");
        assert_eq!(compiled.as_deref(), Some("test --locked -p store inbox --no-run QUIET"));
        assert_eq!(compile("--doc"), None);
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
