//! Which steps a set of changed files asks for. Pure: the tests need neither git nor cargo.

use std::{collections::BTreeSet, fmt};

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    /// Its folder from the root, such as `crates/store`.
    pub(super) folder: String,
    /// Files outside its folder that it includes, from the root.
    pub(super) includes: BTreeSet<String>,
}

/// The crates to document and to test.
#[derive(Debug, PartialEq)]
pub(super) enum Scope {
    Everything,
    /// These crates; none when only other files changed.
    Packages(BTreeSet<String>),
}

/// One cargo command, with the variables that it sets.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) words: Vec<String>,
}

/// Files at the root that decide how every crate is built or checked.
const SHARED: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", "clippy.toml", "rust-toolchain.toml", ".cargo/config.toml"];

/// The repository's rules and the tests of the tasks; always run, because any file may break a rule.
const TIDY: &str = "xtask";

impl Scope {
    /// The crates that own or include one of the changed files.
    pub(super) fn of_changes<'a>(changed: impl IntoIterator<Item = &'a str>, packages: &[Package]) -> Self {
        let mut names = BTreeSet::new();
        for file in changed {
            if SHARED.contains(&file) {
                return Self::Everything;
            }
            let inside = |package: &Package| {
                file.strip_prefix(&package.folder).is_some_and(|rest| rest.starts_with('/'))
            };
            let touched =
                packages.iter().filter(|package| inside(package) || package.includes.contains(file));
            names.extend(touched.map(|package| package.name.clone()));
        }
        Self::Packages(names)
    }

    /// The words that choose these crates, the tasks left out; nothing when there are none.
    fn words(&self) -> Option<Vec<&str>> {
        match self {
            Self::Everything => Some(vec!["--workspace", "--exclude", TIDY]),
            Self::Packages(names) => {
                let names = names.iter().filter(|name| *name != TIDY);
                let words: Vec<_> = names.flat_map(|name| ["-p", name]).collect();
                (!words.is_empty()).then_some(words)
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => write!(f, "checking everything"),
            Self::Packages(names) if names.is_empty() => write!(f, "no crate has changed"),
            Self::Packages(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                write!(f, "changed: {}", names.join(", "))
            }
        }
    }
}

impl Step {
    fn new(words: &str, more: &[&str]) -> Self {
        let words = words.split(' ').chain(more.iter().copied());
        Self { variables: &[], words: words.map(str::to_owned).collect() }
    }
}

/// The steps, the fast ones first.
pub(super) fn steps(scope: &Scope) -> Vec<Step> {
    let mut steps = vec![Step::new("fmt --all --check", &[])];
    // The same words whatever changed: cargo checks again what has changed and what uses it, and a choice of crates would
    // build their dependencies with other features.
    if scope.words().is_some() || *scope != Scope::Packages(BTreeSet::new()) {
        steps.push(Step::new("clippy --workspace --all-targets --locked -- -D warnings", &[]));
    }
    steps.push(Step::new("test --locked -q -p", &[TIDY]));
    if let Some(words) = scope.words() {
        let doc = Step::new("doc --no-deps --locked", &words);
        steps.push(Step { variables: &[("RUSTDOCFLAGS", "-D warnings")], ..doc });
        steps.push(Step::new("test --locked -q", &words));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Vec<Package> {
        let package = |name: &str, folder: &str, includes: &[&str]| Package {
            name: name.to_owned(),
            folder: folder.to_owned(),
            includes: includes.iter().map(|&file| file.to_owned()).collect(),
        };
        vec![
            package("domain", "crates/domain", &[]),
            package("domain-extra", "crates/domain-extra", &[]),
            package("bos", "crates/bos", &["README.md", "docs/operations.md"]),
            package("xtask", "xtask", &[]),
        ]
    }

    fn scope(changed: &[&str]) -> Scope {
        Scope::of_changes(changed.iter().copied(), &packages())
    }

    fn lines(scope: &Scope) -> Vec<String> {
        steps(scope).iter().map(|step| step.words.join(" ")).collect()
    }

    #[test]
    fn a_file_belongs_to_the_crate_whose_folder_it_is_in() {
        assert_eq!(scope(&["crates/domain/src/lib.rs"]), Scope::Packages(["domain".to_owned()].into()));
        assert_eq!(
            scope(&["crates/domain-extra/Cargo.toml", "xtask/src/main.rs"]),
            Scope::Packages(["domain-extra".to_owned(), "xtask".to_owned()].into())
        );
    }

    #[test]
    fn a_page_belongs_to_the_crates_that_include_it() {
        assert_eq!(scope(&["docs/operations.md"]), Scope::Packages(["bos".to_owned()].into()));
        assert_eq!(scope(&["docs/plan.md", "demo/class-9b/s-001.txt"]), Scope::Packages(BTreeSet::new()));
    }

    #[test]
    fn a_file_that_every_crate_is_built_with_means_everything() {
        assert_eq!(scope(&["docs/plan.md", "Cargo.lock"]), Scope::Everything);
        assert_ne!(scope(&["crates/bos/Cargo.toml"]), Scope::Everything);
    }

    #[test]
    fn crates_that_changed_are_documented_and_tested_and_everything_is_linted() {
        assert_eq!(
            lines(&scope(&["crates/domain/src/lib.rs", "README.md"])),
            [
                "fmt --all --check",
                "clippy --workspace --all-targets --locked -- -D warnings",
                "test --locked -q -p xtask",
                "doc --no-deps --locked -p bos -p domain",
                "test --locked -q -p bos -p domain",
            ]
        );
    }

    #[test]
    fn without_a_changed_crate_only_format_and_rules_are_checked() {
        let expected = ["fmt --all --check", "test --locked -q -p xtask"];
        assert_eq!(lines(&scope(&["docs/plan.md"])), expected);
        assert_eq!(lines(&scope(&[])), expected);
    }

    #[test]
    fn the_tasks_are_tested_once() {
        let steps = lines(&scope(&["xtask/src/main.rs"]));
        assert_eq!(steps.iter().filter(|words| words.contains("xtask")).count(), 1);
        assert!(steps.iter().any(|words| words.starts_with("clippy")));
        let steps = lines(&Scope::Everything);
        assert_eq!(steps.last().map(String::as_str), Some("test --locked -q --workspace --exclude xtask"));
    }
}
