//! Which crate may depend on which. Dependencies of tests are free: the arrows are about what ships.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
};

use cargo_metadata::{DependencyKind, Metadata};

use crate::{
    Breach, assert_none,
    manifest::metadata,
    sources::{Source, ours, root},
};

/// The page that shows the arrows, in a fenced block with [`MARK`] behind the fence: a crate and what it may depend on
/// in each line.
const PAGE: &str = "ARCHITECTURE.md";
const MARK: &str = "crate arrows";

/// What the page is to show, for the time before it is written.
const PLANNED: &str = "\
```text crate arrows
domain
contract
store → domain
engine → store, domain, contract
companions → contract, engine
bos → companions, engine, store, domain, contract
```
";

/// Floor 0 is rules and vocabulary; it neither waits nor stores.
const PURE: [&str; 2] = ["contract", "domain"];
const IMPURE: [&str; 4] = ["tokio", "sqlx", "rusqlite", "hyper"];

/// For developers; none of it ships: outside the floors. The bench runs the whole service and chaos reads with its audit, so
/// they see all of it.
const TOOLS: [&str; 6] = [BENCH, CHAOS, "model", "simulation", "testbed", "xtask"];
const BENCH: &str = "bench";
const CHAOS: &str = "chaos";

/// Heavy crates of the edge, which the inner loop of the other crates must not compile.
const EDGE: &str = "bos";
const ONLY_AT_THE_EDGE: [&str; 4] = ["rdkafka", "rdkafka-sys", "axum", "reqwest"];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows that `text` shows in its marked block.
fn read(text: &str) -> Option<Arrows> {
    let begins = |line: &str| line.starts_with("```") && line.ends_with(MARK);
    let block =
        text.lines().skip_while(|line| !begins(line)).skip(1).take_while(|line| !line.starts_with("```"));
    let arrows: Arrows = block
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (from, to) = line.split_once('→').unwrap_or((line, ""));
            let to = to.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
            (from.trim().to_owned(), to.collect())
        })
        .collect();
    (!arrows.is_empty()).then_some(arrows)
}

/// What ships: for every package, the packages it depends on for its own code or its build.
struct Graph {
    ours: BTreeSet<String>,
    needs: Arrows,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let name = |id| metadata[id].name.to_string();
        let mut needs = Arrows::new();
        for node in &metadata.resolve.as_ref().expect("cargo resolves dependencies").nodes {
            let ships = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            needs.entry(name(&node.id)).or_default().extend(ships.map(|dep| name(&dep.pkg)));
        }
        Self { ours: metadata.workspace_members.iter().map(name).collect(), needs }
    }

    /// The shortest way from one package to another, as `a → b → c`.
    fn way(&self, from: &str, to: &str) -> Option<String> {
        let mut seen = BTreeSet::from([from]);
        let mut ways = VecDeque::from([vec![from]]);
        while let Some(way) = ways.pop_front() {
            let last = way.last()?;
            if *last == to {
                return Some(way.join(" → "));
            }
            for next in self.needs.get(*last).into_iter().flatten().filter(|next| seen.insert(next)) {
                ways.push_back(way.iter().copied().chain([next.as_str()]).collect());
            }
        }
        None
    }
}

/// Direct dependencies among our crates that the page does not show, and crates it does not know.
fn undrawn(graph: &Graph, arrows: &Arrows) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for from in graph.ours.iter().filter(|name| !TOOLS.contains(&name.as_str())) {
        let Some(drawn) = arrows.get(from) else {
            let what = format!("the crate `{from}` is not among the crate arrows");
            breaches.push(Breach::new(PAGE, 1, what, "draw its arrows, and ask on which floor it lives"));
            continue;
        };
        let needs = graph.needs.get(from).into_iter().flatten();
        for to in needs.filter(|to| graph.ours.contains(*to) && !drawn.contains(*to)) {
            breaches.push(in_manifest(from, to, format!("`{from}` must not depend on `{to}`")));
        }
    }
    for name in arrows.keys().filter(|name| !graph.ours.contains(*name)) {
        let what = format!("the crate arrows name `{name}`, which is no crate of ours");
        breaches.push(Breach::new(PAGE, 1, what, "remove its line"));
    }
    breaches
}

/// Foreign crates on a floor where they do not belong, also when something else brings them.
fn misplaced(graph: &Graph) -> Vec<Breach> {
    let impure = PURE.iter().flat_map(|from| IMPURE.iter().map(move |to| (*from, *to)));
    let below = graph.ours.iter().filter(|name| ![EDGE, BENCH, CHAOS].contains(&name.as_str()));
    let heavy = below.flat_map(|from| ONLY_AT_THE_EDGE.iter().map(move |to| (from.as_str(), *to)));
    impure
        .chain(heavy)
        .filter_map(|(from, to)| {
            let way = graph.way(from, to)?;
            let first = way.split(" → ").nth(1).unwrap_or(to);
            Some(in_manifest(from, first, format!("`{to}` has no place below `{from}` ({way})")))
        })
        .collect()
}

fn in_manifest(package: &str, dependency: &str, what: String) -> Breach {
    let folder = match package {
        "xtask" => "",
        tool if TOOLS.contains(&tool) => "testing/",
        _ => "crates/",
    };
    let path = &format!("{folder}{package}/Cargo.toml");
    let manifest = Source::new(path, &fs::read_to_string(root().join(path)).unwrap_or_default());
    let line =
        manifest.lines().find(|(_, line)| line.starts_with(dependency)).map_or(1, |(number, _)| number);
    Breach::new(path, line, what, "move the code to the floor that may, or speak through a port")
}

#[test]
fn the_crates_depend_on_each_other_as_the_architecture_page_shows() {
    let ours = ours();
    let page = ours.iter().find(|source| source.path == PAGE).map_or(PLANNED, |page| &page.text);
    let arrows = read(page).unwrap_or_else(|| panic!("{PAGE} has no block marked `{MARK}`"));
    assert_none(&undrawn(&Graph::of(&metadata()), &arrows));
}

#[test]
fn floor_0_is_pure_and_only_the_edge_is_heavy() {
    assert_none(&misplaced(&Graph::of(&metadata())));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    const DRAWN: &str =
        "# Crates\n```text crate arrows\ndomain\nstore → domain\n\nbos → store, domain\n```\n";

    fn graph(lines: &str, ours: &[&str]) -> Graph {
        let needs = read(&format!("```{MARK}\n{lines}\n```")).unwrap();
        Graph { ours: ours.iter().map(|&name| name.to_owned()).collect(), needs }
    }

    fn messages(breaches: &[Breach]) -> Vec<&str> {
        breaches.iter().map(|breach| breach.what.as_str()).collect()
    }

    #[test]
    fn a_page_without_the_block_shows_no_arrows() {
        assert_eq!(read("# Crates\n```text\ndomain\n```\n"), None);
        assert_eq!(read(DRAWN).unwrap().len(), 3);
        assert_eq!(read(PLANNED).unwrap().len(), 6);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_a_breach() {
        let graph = graph("domain → store\nstore → domain\nbos → store", &["domain", "store", "bos"]);
        assert_eq!(
            messages(&undrawn(&graph, &read(DRAWN).unwrap())),
            ["`domain` must not depend on `store`"]
        );
    }

    #[test]
    fn a_crate_on_one_side_only_is_a_breach() {
        let graph = graph("domain\nextra\nbos → domain", &["domain", "extra", "bos"]);
        assert_eq!(
            messages(&undrawn(&graph, &read(DRAWN).unwrap())),
            [
                "the crate `extra` is not among the crate arrows",
                "the crate arrows name `store`, which is no crate of ours",
            ]
        );
    }

    #[test]
    fn a_runtime_that_another_crate_brings_below_the_domain_is_a_breach() {
        let graph = graph("domain → clock\nclock → tokio\nbos → axum", &["domain", "bos"]);
        assert_eq!(
            messages(&misplaced(&graph)),
            ["`tokio` has no place below `domain` (domain → clock → tokio)"]
        );
    }

    #[test]
    fn a_web_framework_below_the_edge_is_a_breach() {
        let graph = graph("engine → axum\nbos → axum", &["engine", "bos"]);
        assert_eq!(messages(&misplaced(&graph)), ["`axum` has no place below `engine` (engine → axum)"]);
    }
}
