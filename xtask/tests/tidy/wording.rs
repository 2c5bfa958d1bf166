//! What no file contains: words that tie it to one machine, and Rust attributes that switch a rule off. And how long a Rust
//! file may be.

use crate::{
    Breach, assert_none,
    sources::{Source, ours},
};

/// Folders of one account or one machine; a path into one of them is wrong on every other machine.
const FOLDERS: [&str; 3] = ["work", "root", "home"];

/// Hosts of package registries. Which registry a machine uses is its own configuration.
const HOSTS: [&str; 11] = [
    "index.crates.io",
    "static.crates.io",
    "github.com/rust-lang/crates.io-index",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "pypi.org",
    "registry.npmjs.org",
    "deb.debian.org",
    "archive.ubuntu.com",
    "static.rust-lang.org",
    "sh.rustup.rs",
];

/// The only origin that a crate in `Cargo.lock` may have; a mirror would write its own name there.
const LOCK_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Attributes that hide a problem, with what to do instead.
const ATTRIBUTES: [(&str, &str); 3] = [
    ("#[allow(", "use `#[expect(.., reason = \"..\")]`, or correct what the lint found"),
    ("#![allow(", "use `#![expect(.., reason = \"..\")]`, or correct what the lint found"),
    ("#[ignore", "make the test run, or let it report what it left out"),
];

/// Lines that a Rust file may have; a longer one usually holds two subjects.
const LONGEST: usize = 400;

/// This file contains the words that it searches for.
fn contains_the_words(source: &Source) -> bool {
    source.path == file!()
}

fn machine_words(source: &Source) -> Vec<Breach> {
    if source.path == "Cargo.lock" {
        let foreign = |line: &str| line.starts_with("source = ") && line != LOCK_SOURCE;
        return source
            .lines()
            .filter(|(_, line)| foreign(line))
            .map(|(number, _)| {
                Breach::new(
                    &source.path,
                    number,
                    "a crate from another registry",
                    "resolve without a mirror's address",
                )
            })
            .collect();
    }
    let mut breaches = Vec::new();
    for (number, line) in source.lines() {
        if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let what = format!("an absolute path into /{folder}");
            breaches.push(Breach::new(&source.path, number, what, "write it relative to the repository"));
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
            let what = format!("the registry host {host}");
            breaches.push(Breach::new(
                &source.path,
                number,
                what,
                "name the package, and leave the host to the package client",
            ));
        }
    }
    breaches
}

/// Whether `/folder` begins a path in this line: no part of a path is before it, and the name ends there.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}");
    line.match_indices(&path).any(|(at, _)| {
        let inside = |c: char| c.is_alphanumeric() || "._-/*}~$".contains(c);
        let longer = |c: char| c.is_alphanumeric() || "_-".contains(c);
        !line[..at].ends_with(inside) && !line[at + path.len()..].starts_with(longer)
    })
}

fn hidden_rules(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in source.lines() {
        for (attribute, fix) in ATTRIBUTES {
            if line.contains(attribute) {
                breaches.push(Breach::new(&source.path, number, format!("`{attribute}`"), fix));
            }
        }
    }
    breaches
}

fn too_long(source: &Source) -> Option<Breach> {
    let lines = source.lines().count();
    (lines > LONGEST).then(|| {
        let what = format!("{lines} lines, more than {LONGEST}");
        let fix = "move its second subject into a file of its own";
        Breach::new(&source.path, lines, what, fix)
    })
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let ours = ours();
    let breaches: Vec<_> =
        ours.iter().filter(|source| !contains_the_words(source)).flat_map(machine_words).collect();
    assert_none(&breaches);
}

#[test]
fn no_lint_or_test_is_switched_off_without_a_reason() {
    let ours = ours();
    let rust = ours.iter().filter(|source| source.has_extension("rs") && !contains_the_words(source));
    assert_none(&rust.flat_map(hidden_rules).collect::<Vec<_>>());
}

#[test]
fn no_rust_file_is_too_long_to_have_one_subject() {
    let ours = ours();
    let rust = ours.iter().filter(|source| source.has_extension("rs"));
    assert_none(&rust.filter_map(too_long).collect::<Vec<_>>());
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn lines(breaches: &[Breach]) -> Vec<usize> {
        breaches.iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn absolute_paths_and_registry_hosts_are_breaches() {
        let text = "see /work/x\ncd \"/root\"\n`/home/me`\nindex = https://index.crates.io/\n";
        assert_eq!(lines(&machine_words(&Source::new("README.md", text))), [1, 2, 3, 4]);
    }

    #[test]
    fn routes_and_relative_paths_are_not_absolute_paths() {
        let text = "docs/home/a.md\n../work/b\nhttp://localhost/home\n/homework\n/root-cause\n";
        assert_eq!(machine_words(&Source::new("README.md", text)), []);
    }

    #[test]
    fn a_crate_from_a_mirror_is_a_breach() {
        let text = format!("{LOCK_SOURCE}\nsource = \"registry+https://mirror.example/index\"\n");
        assert_eq!(lines(&machine_words(&Source::new("Cargo.lock", &text))), [2]);
    }

    #[test]
    fn switching_a_lint_or_a_test_off_is_a_breach() {
        let text =
            "#[allow(dead_code)]\n#[expect(dead_code, reason = \"\")]\n#[ignore = \"slow\"]\n#![allow(x)]\n";
        assert_eq!(lines(&hidden_rules(&Source::new("a.rs", text))), [1, 3, 4]);
    }

    #[test]
    fn a_long_file_is_a_breach() {
        assert_eq!(too_long(&Source::new("a.rs", &"\n".repeat(LONGEST))), None);
        assert!(too_long(&Source::new("a.rs", &"\n".repeat(LONGEST + 1))).is_some());
    }
}
