//! Modules of a crate import each other in one direction.
//!
//! Sibling modules, each taken with the modules inside it, must form a graph without circles. A module and the module it
//! lies in may use each other. The scan reads paths that begin with `crate`, `super` or `self`, follows re-exports to the
//! module that defines the item, and leaves out comments, strings and test code.

mod scan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    Breach, assert_none,
    sources::{Source, ours},
};
use scan::{Reference, Scanned};

/// Circles that stay, as (crate, module that holds the siblings). The stages of a batch call each other because a
/// decision in one stage may move the batch to the next.
const ALLOWED: [(&str, &str); 1] = [("domain", "decide")];

/// The names of the modules from the crate's root to this one; empty for the root.
type Path = Vec<String>;

/// One crate: its modules, each with what the scan found in its file.
struct Tree<'a> {
    name: &'a str,
    modules: BTreeMap<Path, (&'a Source, Scanned)>,
}

/// One import across siblings: where it is written, for the message.
struct Evidence {
    path: String,
    line: usize,
}

/// Siblings that import each other: the module that holds them, their names, and one circle through them.
struct Circle {
    parent: Path,
    members: BTreeSet<String>,
    /// `a → b (file:line), b → a (file:line)`
    way: String,
    first: Evidence,
}

type Graph = BTreeMap<String, BTreeMap<String, Evidence>>;

impl<'a> Tree<'a> {
    /// The shipped modules of the crate in `folder`, such as `crates/store`.
    fn read(sources: &'a [Source], folder: &'a str) -> Self {
        let mut modules = BTreeMap::new();
        let inside = format!("{folder}/src/");
        let files: BTreeMap<&str, &Source> = sources
            .iter()
            .filter_map(|source| Some((source.path.strip_prefix(&inside)?.strip_suffix(".rs")?, source)))
            .collect();
        let root = if files.contains_key("lib") { "lib" } else { "main" };
        for (path, source) in files {
            let path: Path = match path {
                "lib" | "main" if path == root => Vec::new(),
                "lib" | "main" => continue,
                path => path.split('/').map(str::to_owned).collect(),
            };
            modules.insert(path, (source, Scanned::new(&source.text)));
        }
        let tests: Vec<Path> = modules
            .iter()
            .flat_map(|(path, (_, scanned))| scanned.test_modules.iter().map(move |name| child(path, name)))
            .collect();
        modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        Self { name: folder.rsplit('/').next().unwrap_or(folder), modules }
    }

    /// The module that defines what `path` names, seen from the module `from`; none for another crate's. The flag says
    /// whether the whole path is that module.
    fn resolve(&self, from: &Path, path: &[String], depth: usize) -> Option<(Path, bool)> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => parent(from)?,
            _ => {
                rest = path;
                from.clone()
            }
        };
        let relative = rest.len() == path.len();
        let mut walked = 0;
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at = parent(&at)?;
            } else if self.modules.contains_key(&child(&at, name)) {
                at.push(name.clone());
            } else {
                return match self.binding(&at, name).filter(|_| depth > 0) {
                    Some(target) => match self.resolve(&at, target, depth - 1) {
                        Some((module, true)) if !after.is_empty() => {
                            let onward: Path =
                                ["self".to_owned()].into_iter().chain(after.iter().cloned()).collect();
                            self.resolve(&module, &onward, depth - 1)
                        }
                        found => found.map(|(module, whole)| (module, whole && after.is_empty())),
                    },
                    // The first name is neither a module nor an import: another crate.
                    None if relative && walked == 0 => None,
                    None => Some((at, false)),
                };
            }
            walked += 1;
            rest = after;
        }
        Some((at, true))
    }

    /// What the name stands for in the module, when it is imported there.
    fn binding(&self, module: &Path, name: &str) -> Option<&[String]> {
        let (_, scanned) = self.modules.get(module)?;
        let found = scanned.references.iter().find(|reference| reference.name.as_deref() == Some(name))?;
        // `use name;` would lead back to itself.
        (found.path.len() > 1).then_some(found.path.as_slice())
    }

    /// For every module that holds others, which of its children import which.
    fn graphs(&self) -> BTreeMap<Path, Graph> {
        let mut graphs: BTreeMap<Path, Graph> = BTreeMap::new();
        for (from, (source, scanned)) in &self.modules {
            for Reference { path, line, .. } in &scanned.references {
                let Some((to, _)) = self.resolve(from, path, 8) else { continue };
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                    let graph = graphs.entry(to.iter().take(common).cloned().collect()).or_default();
                    let evidence = Evidence { path: source.path.clone(), line: *line };
                    graph.entry(a.clone()).or_default().entry(b.clone()).or_insert(evidence);
                }
            }
        }
        graphs
    }

    fn circles(&self) -> Vec<Circle> {
        let graphs = self.graphs();
        graphs.iter().flat_map(|(parent, graph)| circles(parent, graph)).collect()
    }
}

fn child(path: &Path, name: &str) -> Path {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn parent(path: &Path) -> Option<Path> {
    path.split_last().map(|(_, above)| above.to_vec())
}

/// The shortest way from one sibling to another, with both ends.
fn way<'g>(graph: &'g Graph, from: &'g str, to: &str) -> Option<Vec<&'g str>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![from]]);
    while let Some(way) = ways.pop_front() {
        for next in graph.get(*way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer: Vec<_> = way.iter().copied().chain([next.as_str()]).collect();
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    way(graph, from, to).is_some()
}

/// Groups of siblings that reach each other.
fn circles(parent: &Path, graph: &Graph) -> Vec<Circle> {
    let mut found: Vec<Circle> = Vec::new();
    for from in graph.keys() {
        if found.iter().any(|circle| circle.members.contains(from)) {
            continue;
        }
        let Some(round) = way(graph, from, from) else { continue };
        let members = graph.keys().filter(|name| reaches(graph, from, name) && reaches(graph, name, from));
        let members = members.cloned().collect();
        let steps: Vec<_> = round
            .windows(2)
            .filter_map(|step| match step {
                [a, b] => Some((a, b, graph.get(*a)?.get(*b)?)),
                _ => None,
            })
            .collect();
        let words = steps.iter().map(|(a, b, place)| format!("{a} → {b} ({}:{})", place.path, place.line));
        let way = words.collect::<Vec<_>>().join(", ");
        let Some((_, _, first)) = steps.first() else { continue };
        let first = Evidence { path: first.path.clone(), line: first.line };
        found.push(Circle { parent: parent.clone(), members, way, first });
    }
    found
}

/// Circles that `allowed` does not name.
fn breaches(tree: &Tree<'_>, allowed: &[(&str, &str)]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for circle in tree.circles() {
        let parent = circle.parent.join("::");
        if allowed.contains(&(tree.name, parent.as_str())) {
            continue;
        }
        let members: Vec<_> = circle.members.iter().map(String::as_str).collect();
        let what = format!(
            "import circle in {}{}{}: {} ({})",
            tree.name,
            if parent.is_empty() { "" } else { "::" },
            parent,
            members.join(", "),
            circle.way
        );
        let fix = "move what both sides need into a module below them";
        breaches.push(Breach::new(&circle.first.path, circle.first.line, what, fix));
    }
    breaches
}

/// The folders of the workspace's crates.
fn crates(sources: &[Source]) -> BTreeSet<&str> {
    let manifests = sources.iter().filter_map(|source| source.path.strip_suffix("/Cargo.toml"));
    manifests.collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let ours = ours();
    let trees = crates(&ours).into_iter().map(|folder| Tree::read(&ours, folder));
    assert_none(&trees.flat_map(|tree| breaches(&tree, &ALLOWED)).collect::<Vec<_>>());
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> =
            files.iter().map(|(path, text)| Source::new(&format!("crates/a/src/{path}"), text)).collect();
        let breaches = breaches(&Tree::read(&sources, "crates/a"), &[]);
        breaches.into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn two_siblings_that_import_each_other_are_a_breach() {
        assert_eq!(
            found(&[
                ("lib.rs", "mod one;\nmod two;\n"),
                ("one.rs", "use crate::two::Two;\n"),
                ("two.rs", "\nfn f() -> super::one::One {}\n"),
            ]),
            [
                "import circle in a: one, two (one → two (crates/a/src/one.rs:1), two → one (crates/a/src/two.rs:2))"
            ]
        );
    }

    #[test]
    fn a_circle_through_a_re_export_and_modules_inside_is_a_breach() {
        let found = found(&[
            ("lib.rs", "mod one;\nmod two;\npub use two::inner::Two;\n"),
            ("one.rs", "use crate::{\n    other::X,\n    Two,\n};\n"),
            ("two.rs", "pub mod inner;\n"),
            ("two/inner.rs", "use crate::one::{self, One};\n"),
        ]);
        assert_eq!(
            found,
            [
                "import circle in a: one, two (one → two (crates/a/src/one.rs:3), two → one (crates/a/src/two/inner.rs:1))"
            ]
        );
    }

    #[test]
    fn parents_tests_comments_and_strings_make_no_circle() {
        let files = [
            ("lib.rs", "mod one;\nmod two;\n"),
            (
                "one.rs",
                "mod part;\n#[cfg(test)]\nmod tests;\nuse part::Part;\nuse crate::two::Two;\npub struct One;\n",
            ),
            ("one/part.rs", "use super::One;\n"),
            ("one/tests.rs", "use crate::two::Two;\n"),
            (
                "two.rs",
                "// crate::one::One\nconst A: &str = \"crate::one::One\";\n/* use crate::one; */\n\
                 #[cfg(test)]\nuse crate::one::One;\n#[cfg(test)]\nmod tests {\n    use crate::one::One;\n}\n",
            ),
        ];
        let none: [&str; 0] = [];
        assert_eq!(found(&files), none);
    }
}
