//! `cargo xtask test`: every test of the workspace, with the servers they need.

mod output;
mod summary;

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
use summary::Summary;

/// Run every test, including those that need `PostgreSQL` and Kafka
///
/// Starts a temporary `PostgreSQL` and a temporary Kafka (or uses those of `BOS_TEST_DATABASE_URL` and `BOS_TEST_KAFKA`) and
/// runs `cargo test --workspace --locked --no-fail-fast`. Arguments are passed on to cargo, arguments after `--` to the
/// tests: `cargo xtask test -p store -- --nocapture`. Ends with the names of the failed tests, the reasons of what was left
/// out, and one line: `N passed, N failed, N left out`. A test program that does not finish counts as a failed test.
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
        if !self.cargo.iter().any(|word| word == ALL_PROGRAMS) {
            words.push(ALL_PROGRAMS);
        }
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

    /// Whether these arguments run tests. Others have cargo or the tests answer a question, and there is nothing to count.
    fn runs_tests(&self) -> bool {
        let asks = |words: &[String], questions: &[&str]| {
            words.iter().any(|word| questions.contains(&word.as_str()))
        };
        !asks(&self.cargo, &["--help", "-h", "--no-run"]) && !asks(&self.tests, &["--help", "-h", "--list"])
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

/// Without it, the first test program that fails keeps the later ones from running.
const ALL_PROGRAMS: &str = "--no-fail-fast";

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

/// Runs the tests, prints the summary, and gives cargo's exit code.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let (servers, compiled) = Servers::start_while(|| compile(args))?;
    if compiled != 0 {
        let mut summary = Summary::default();
        summary.fail("the tests do not compile, see above".to_owned());
        println!("\n{summary}");
        return Ok(compiled);
    }
    let left_out = LeftOut::new()?;
    let encrypted = servers.kafka.tls().map(Tls::variables);
    let mut tests = workspace::cargo(args.words());
    tests
        .envs(encrypted.into_iter().flatten())
        .env(postgres::URL_VARIABLE, servers.postgres.url())
        .env(kafka::ADDRESS_VARIABLE, servers.kafka.bootstrap_servers())
        .env(left_out::VARIABLE, left_out.path());
    if !args.runs_tests() {
        return Ok(process::exit_code(process::run(&mut tests)?));
    }
    let (status, mut summary) = output::run(tests)?;
    let code = summary.end(process::exit_code(status));
    summary.leave_out(left_out.lines()?);
    println!("\nstarted:  {}\nstarted:  {}\n{summary}", servers.postgres, servers.kafka);
    Ok(code)
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
        assert_eq!(compiled.as_deref(), Some("test --locked --no-fail-fast -p store inbox --no-run QUIET"));
        assert_eq!(compile("--doc"), None);
    }

    #[test]
    fn every_program_runs_and_a_question_is_no_run() {
        assert_eq!(words("--no-fail-fast -p store"), "test --locked --no-fail-fast -p store");
        assert!(args("-p store -- --nocapture").runs_tests() && args("--doc").runs_tests());
        assert!(!args("--no-run").runs_tests() && !args("-- --list").runs_tests());
    }

    #[test]
    fn nothing_more_said_means_every_test_of_the_workspace() {
        assert_eq!(words(""), "test --locked --no-fail-fast --workspace");
        assert_eq!(Args::default().words().join(" "), words(""));
    }

    #[test]
    fn words_go_to_cargo_and_words_after_two_dashes_to_the_tests() {
        assert_eq!(words("-p store inbox"), "test --locked --no-fail-fast -p store inbox");
        assert_eq!(words("-- --nocapture"), "test --locked --no-fail-fast --workspace -- --nocapture");
        assert_eq!(
            words("--doc -- --exact a"),
            "test --locked --no-fail-fast --workspace --doc -- --exact a"
        );
    }
}
