//! Cargo commands on our pages run as they are printed.

use std::{collections::BTreeSet, process::Command};

use cargo_metadata::Metadata;

use crate::{
    Breach, assert_none,
    manifest::metadata,
    pages::{commands, pages},
    sources::{Source, ours, root},
};

/// Cargo's own subcommands that a page may use.
const BUILT_IN: [&str; 8] = ["bench", "build", "check", "clippy", "doc", "fmt", "install", "test"];

/// The packages and programs that a command on a page may name.
struct Known {
    packages: BTreeSet<String>,
    programs: BTreeSet<String>,
    /// Whether exactly one program runs by `cargo run` without a name.
    runs_by_default: bool,
}

impl Known {
    fn new(metadata: &Metadata) -> Self {
        let programs = |packages: &[&cargo_metadata::Package]| -> BTreeSet<String> {
            let targets = packages.iter().flat_map(|package| &package.targets);
            targets.filter(|target| target.is_bin()).map(|target| target.name.clone()).collect()
        };
        let packages = metadata.workspace_packages();
        Self {
            packages: packages.iter().map(|package| package.name.to_string()).collect(),
            programs: programs(&packages),
            runs_by_default: programs(&metadata.workspace_default_packages()).len() == 1,
        }
    }

    /// What is wrong with `cargo <words>`, if anything.
    fn objection(&self, words: &[&str]) -> Option<String> {
        let words: Vec<_> = words.iter().copied().take_while(|word| *word != "--").collect();
        let (&task, args) = words.split_first()?;
        let named = |flags: &[&str]| {
            args.iter().skip_while(|word| !flags.contains(word)).nth(1).map(|&word| word.to_owned())
        };
        let (package, program) = (named(&["-p", "--package"]), named(&["--bin"]));
        if let Some(package) = package.as_ref().filter(|package| !self.packages.contains(*package)) {
            return Some(format!("there is no package `{package}`"));
        }
        if let Some(program) = program.as_ref().filter(|program| !self.programs.contains(*program)) {
            return Some(format!("there is no program `{program}`"));
        }
        match task {
            "xtask" if accepts(args) => None,
            "xtask" => Some(format!("`cargo xtask {}` is not understood", args.join(" "))),
            "run" if package.or(program).is_some() || self.runs_by_default => None,
            "run" => Some("`cargo run` has no single program to run".to_owned()),
            "install" => named(&["--path"])
                .filter(|path| !root().join(path).join("Cargo.toml").is_file())
                .map(|path| format!("there is no package in `{path}`")),
            task if BUILT_IN.contains(&task) => None,
            task => Some(format!("`cargo {task}` is not a command of this repository")),
        }
    }
}

/// The task whose arguments go to cargo. A `--help` after them would be cargo's, and the task would start its servers.
const PASSES_ON: &str = "test";

/// What the help of each task contains, and cargo's does not.
const XTASK_HELP: &str = "Usage: cargo xtask";

/// Whether xtask accepts these arguments: it is run with `--help`, which executes no task.
fn accepts(args: &[&str]) -> bool {
    let count = if args.first() == Some(&PASSES_ON) { 1 } else { args.len() };
    let help = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args.iter().take(count)).arg("--help").output();
    let help = help.expect("the tasks' program runs");
    !args.is_empty() && help.status.success() && String::from_utf8_lossy(&help.stdout).contains(XTASK_HELP)
}

fn unknown_commands(sources: &[Source], known: &Known) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for page in pages(sources) {
        for command in commands(page) {
            let words: Vec<_> = command.text.split(' ').collect();
            let objection = words.strip_prefix(&["cargo"]).and_then(|words| known.objection(words));
            breaches.extend(objection.map(|what| {
                Breach::new(&page.path, command.line, what, "show a command that runs as it is printed")
            }));
        }
    }
    breaches
}

#[test]
fn every_cargo_command_on_our_pages_runs_as_printed() {
    assert_none(&unknown_commands(&ours(), &Known::new(&metadata())));
}

#[test]
fn the_readme_shows_the_test_command_that_ci_runs() {
    let ours = ours();
    let Some(readme) = ours.iter().find(|source| source.path == "README.md") else { return };
    assert!(
        commands(readme).iter().any(|command| command.text == "cargo xtask test"),
        "README.md does not show `cargo xtask test`, which is what ci runs"
    );
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn known() -> Known {
        Known {
            packages: ["bos".to_owned()].into(),
            programs: ["bos".to_owned()].into(),
            runs_by_default: false,
        }
    }

    fn objections(block: &str) -> Vec<String> {
        let page = Source::new("README.md", &format!("```sh\n{block}\n```\n"));
        unknown_commands(&[page], &known()).into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn commands_that_do_not_work_are_breaches() {
        assert_eq!(
            objections(
                "cargo run -- demo\ncargo run --bin boss\ncargo test -p nothing\ncargo xtask fly\ncargo xtask\n\
                 cargo install --path crates/nowhere\ncargo dance"
            ),
            [
                "`cargo run` has no single program to run",
                "there is no program `boss`",
                "there is no package `nothing`",
                "`cargo xtask fly` is not understood",
                "`cargo xtask ` is not understood",
                "there is no package in `crates/nowhere`",
                "`cargo dance` is not a command of this repository",
            ]
        );
    }

    #[test]
    fn commands_that_work_are_not() {
        let none: [&str; 0] = [];
        assert_eq!(
            objections(
                "cargo run -p bos -- demo\ncargo xtask test -p bos -- --nocapture\ncargo xtask ci\ncargo test\n\
                 cargo install --path crates/bos\nls cargo"
            ),
            none
        );
    }
}
