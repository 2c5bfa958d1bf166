//! What the tests of a crate link: its dependencies and dev-dependencies, with the features that the crate alone asks for.

use std::process::Command;

use cargo_metadata::Metadata;

use crate::{Breach, assert_none, manifest::metadata, sources::root};

/// Foreign crates that `cargo test -p PACKAGE` must not compile.
struct Unlinked {
    package: &'static str,
    foreign: &'static [&'static str],
}

const UNLINKED: [Unlinked; 2] = [
    // Router tests run in the inner loop of everyone who works on HTTP.
    Unlinked { package: "api", foreign: &["rdkafka", "rdkafka-sys", "opentelemetry", "opentelemetry-otlp"] },
    // Chaos speaks to the service by HTTP and reads its tables; it is a judge from outside.
    Unlinked { package: "chaos", foreign: &["axum"] },
];

/// The packages that `cargo test -p package` compiles, by name.
fn linked(package: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--prefix=none",
            "--format={p}",
            "--edges=normal,build,dev",
            "-p",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("cargo writes UTF-8");
    tree.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

fn breaches(rule: &Unlinked, folder: &str, linked: &[String]) -> Vec<Breach> {
    let found = rule.foreign.iter().filter(|foreign| linked.iter().any(|name| name == *foreign));
    found
        .map(|foreign| {
            let what = format!("the tests of `{}` link `{foreign}`", rule.package);
            let fix = format!(
                "ask `cargo tree -p {} -i {foreign} -e normal,build,dev` what brings it",
                rule.package
            );
            Breach::new(&format!("{folder}/Cargo.toml"), 1, what, fix)
        })
        .collect()
}

/// The folder of a crate of ours, if there is such a crate.
fn folder(metadata: &Metadata, name: &str) -> Option<String> {
    let package = metadata.workspace_packages().into_iter().find(|package| package.name == name)?;
    let folder = package.manifest_path.parent()?;
    Some(folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).to_string())
}

#[test]
fn tests_link_no_more_than_they_test() {
    let metadata = metadata();
    let mut found = Vec::new();
    for rule in &UNLINKED {
        if let Some(folder) = folder(&metadata, rule.package) {
            found.extend(breaches(rule, &folder, &linked(rule.package)));
        }
    }
    assert_none(&found);
}

#[test]
fn dev_dependencies_are_linked() {
    let linked = linked("xtask");
    // A dependency, and a dev-dependency.
    assert!(["testbed", "cargo_metadata"].iter().all(|name| linked.iter().any(|found| found == name)));
    assert!(!linked.iter().any(|name| name == "axum"));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_foreign_crate_that_is_linked_is_a_breach() {
        let rule = Unlinked { package: "api", foreign: &["rdkafka", "opentelemetry"] };
        let linked = ["axum".to_owned(), "rdkafka".to_owned()];
        let breaches = breaches(&rule, "crates/api", &linked);
        assert_eq!(
            breaches.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["crates/api/Cargo.toml:1: the tests of `api` link `rdkafka`; \
                 ask `cargo tree -p api -i rdkafka -e normal,build,dev` what brings it"]
        );
    }
}
