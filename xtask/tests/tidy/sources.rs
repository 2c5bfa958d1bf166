//! The files of the repository, as git knows them: tracked, or new and not ignored.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's folder, from the variable that cargo sets for the tests: a target folder may serve several checkouts.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    PathBuf::from(manifest).join("..")
}

/// One file: its path from the root, with `/` between folders, and its text.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines with their numbers, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The number of the line that holds the byte at `offset`.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// The lines after the one that begins with `opening`, with their numbers, up to the brace or bracket that
    /// closes in its column.
    pub(crate) fn block(&self, opening: &str) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = self.lines().skip_while(move |(_, line)| !line.trim_start().starts_with(opening));
        let first = lines.next();
        assert!(first.is_some(), "a rule reads `{opening}` in {}, where it is no longer", self.path);
        let indent = first.map_or(0, |(_, line)| line.len() - line.trim_start().len());
        let closes = move |line: &str| {
            line.trim_start().starts_with(['}', ']']) && line.find(['}', ']']) == Some(indent)
        };
        lines.take_while(move |(_, line)| !closes(line))
    }
}

/// The file at `path`, which a rule reads.
pub(crate) fn file<'a>(sources: &'a [Source], path: &str) -> &'a Source {
    let found = sources.iter().find(|source| source.path == path);
    assert!(found.is_some(), "a rule reads {path}, which does not exist; name the file that took its place");
    found.expect("it was found")
}

/// The places in `text` where `word` is not a part of a longer name, as offsets of the byte after it.
pub(crate) fn ends_of_word(text: &str, word: &str) -> impl Iterator<Item = usize> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let whole = move |(at, word): &(usize, &str)| {
        !text[..*at].ends_with(inside) && !text[at + word.len()..].starts_with(inside)
    };
    text.match_indices(word).filter(whole).map(|(at, word)| at + word.len())
}

/// Whether `word` is in `text` and not only as a part of longer names.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    ends_of_word(text, word).next().is_some()
}

/// Files of Swagger UI that stand here as they are released; see the README beside them.
const RELEASED: &str = "crates/api/assets/swagger-ui/swagger-ui";

/// Every file of the repository. A file that is not UTF-8, such as a picture, or is not ours has a path and no text.
pub(crate) fn ours() -> Vec<Source> {
    let list = Command::new("git")
        // In containers a checkout may belong to another account than the one that runs the tests.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(list.status.success(), "git ls-files: {}", String::from_utf8_lossy(&list.stderr));
    let paths = String::from_utf8(list.stdout).expect("our file names are UTF-8");
    let paths = paths.split_terminator('\0');
    paths
        // A tracked file may have been deleted and not yet committed.
        .filter_map(|path| {
            let bytes = fs::read(root().join(path)).ok()?;
            let text = if path.starts_with(RELEASED) { Vec::new() } else { bytes };
            Some(Source { path: path.to_owned(), text: String::from_utf8(text).unwrap_or_default() })
        })
        .collect()
}

#[test]
fn the_files_of_this_repository_are_found() {
    let ours = ours();
    let this = ours.iter().find(|source| source.path == file!()).expect("this file is listed");
    assert!(this.text.contains("fn the_files_of_this_repository_are_found"));
    assert!(!ours.iter().any(|source| source.path.starts_with("target/")));
}

#[test]
fn a_place_in_the_text_has_its_line() {
    let source = Source::new("a", "one\ntwo\nthree");
    assert_eq!(source.line_at(source.text.find("two").unwrap()), 2);
}

#[test]
fn a_block_ends_with_the_brace_or_bracket_in_the_column_of_its_first_line() {
    let source = Source::new("a.rs", "fn a() {}\n    enum B {\n        C {\n        },\n    }\n    D\n}\n");
    let lines: Vec<_> = source.block("enum B").collect();
    assert_eq!(lines, [(3, "        C {"), (4, "        },")]);
    let list = Source::new("a.rs", "const A: [u8; 1] = [\n    1,\n];\nfn b() {\n}\n");
    assert_eq!(list.block("const A").collect::<Vec<_>>(), [(2, "    1,")]);
}

#[test]
fn a_word_is_not_found_inside_a_longer_one() {
    assert!(has_word("a `bos_queue` b", "bos_queue") && has_word("x.queue", "queue"));
    assert!(!has_word("bos_queue_depth", "bos_queue") && !has_word("dequeue", "queue"));
}
