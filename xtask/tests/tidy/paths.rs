//! Paths that our pages name in code spans exist.
//!
//! A page may leave out the first folder, `crates/` or `testing/`. Pages that tell what was (decisions, the changelog) are
//! free, and so are paths of the machine or of a user.

use crate::{
    Breach, assert_none,
    pages::{code_spans, pages},
    sources::{Source, ours},
};

/// Pages whose paths may be those of an earlier time.
const HISTORY: [&str; 2] = ["docs/decisions/", "CHANGELOG.md"];

/// Folders that a path on a page may begin in.
const FOLDERS: [&str; 3] = ["", "crates/", "testing/"];

/// Endings of files that are in the repository.
const ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".json", ".sql", ".txt", "/"];

/// What builds and runs write.
const WRITTEN: &str = "target/";

/// The paths that a code span names: none unless it looks like a path of the repository, several with `{a,b}`.
fn named(span: &str) -> Vec<String> {
    let is_path = span.contains('/')
        && !span.starts_with(['/', '.', '~'])
        && !span.starts_with(WRITTEN)
        && span.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.{,}".contains(c))
        && ENDINGS.iter().any(|ending| span.ends_with(ending));
    if is_path { spread(span) } else { Vec::new() }
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn spread(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (names, after))) = parts.filter(|(_, (names, _))| names.contains(',')) else {
        return vec![path.to_owned()];
    };
    let rests = spread(after);
    let paths =
        names.split(',').flat_map(|name| rests.iter().map(move |rest| format!("{before}{name}{rest}")));
    paths.collect()
}

fn exists(sources: &[Source], page: &str, path: &str) -> bool {
    let beside = page.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    FOLDERS.iter().copied().chain([beside.as_str()]).any(|folder| {
        let path = format!("{folder}{path}");
        let is_it = |source: &Source| {
            if path.ends_with('/') { source.path.starts_with(&path) } else { source.path == path }
        };
        sources.iter().any(is_it)
    })
}

fn dead_paths(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for page in pages(sources).filter(|page| !HISTORY.iter().any(|past| page.path.starts_with(past))) {
        for span in code_spans(page) {
            let dead = named(&span.text).into_iter().filter(|path| !exists(sources, &page.path, path));
            let breach = |path: String| {
                Breach::new(&page.path, span.line, format!("`{path}` does not exist"), "correct it")
            };
            breaches.extend(dead.map(breach));
        }
    }
    breaches
}

#[test]
fn every_path_that_our_pages_name_exists() {
    assert_none(&dead_paths(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn dead(page: &str) -> Vec<String> {
        let sources = [
            Source::new("ARCHITECTURE.md", page),
            Source::new("docs/decisions/0001-a.md", "`engine/src/gone.rs`\n"),
            Source::new("crates/engine/src/news.rs", ""),
            Source::new("crates/bos/src/commands/api/batch.rs", ""),
        ];
        dead_paths(&sources).into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn a_path_without_a_file_is_a_breach_also_in_braces() {
        assert_eq!(
            dead("`engine/src/gone.rs`, `bos/src/commands/{api,process}/`, `engine/src/{news,wire}.rs`\n"),
            [
                "`engine/src/gone.rs` does not exist",
                "`bos/src/commands/process/` does not exist",
                "`engine/src/wire.rs` does not exist",
            ]
        );
    }

    #[test]
    fn paths_that_exist_and_paths_of_others_are_not() {
        let none: [&str; 0] = [];
        assert_eq!(
            dead(
                "`engine/src/news.rs` `crates/engine/` `/v1/batch/` `target/a.md` `./a.toml` `a.rs` `a/b` `GET a/b.md`\n"
            ),
            none
        );
    }
}
