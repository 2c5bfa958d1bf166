//! Which crate may depend on which.
//!
//! Three rules: the arrows between our crates stand on the architecture page; a heavy foreign crate is linked by the
//! crates that own it and by what depends on those; and some crates link certain others not even in their tests. A rule
//! about a crate of ours that does not exist is skipped.

mod linked;

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

/// The page that shows the arrows, in fenced blocks with one of [`MARKS`] behind the fence: a crate and what it may
/// depend on in each line. Dependencies of tests are free here.
const PAGE: &str = "ARCHITECTURE.md";

/// The crates that ship, and those for developers. What ships never depends on a crate for developers.
const MARKS: [&str; 2] = ["crate arrows", "testing arrows"];

/// The crates of the first block are in this folder.
const SHIPPED: &str = "crates/";

/// Rules and vocabulary only: these crates neither wait nor store.
const PURE: [&str; 2] = ["contract", "domain"];
const IMPURE: [&str; 4] = ["tokio", "sqlx", "rusqlite", "hyper"];

/// A heavy foreign crate, and our crates through which it may be linked.
struct Pin {
    foreign: &'static str,
    owners: &'static [&'static str],
}

/// The benchmark measures a bare producer and a bare HTTP route, as limits to compare the service with.
const PINS: [Pin; 5] = [
    Pin { foreign: "rdkafka", owners: &["kafka", "bench"] },
    Pin { foreign: "rdkafka-sys", owners: &["kafka", "bench"] },
    Pin { foreign: "axum", owners: &["api", "service", "bos", "bench"] },
    Pin { foreign: "reqwest", owners: &["client", "service", "telemetry", "bos"] },
    Pin { foreign: "opentelemetry", owners: &["telemetry"] },
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows that `text` shows in its block with this mark.
fn read(text: &str, mark: &str) -> Option<Arrows> {
    let begins = |line: &str| line.starts_with("```") && line.ends_with(mark);
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

/// For every package, the packages it depends on for its own code or its build; tests left out.
struct Graph {
    /// Our crates, each with its folder from the root.
    ours: BTreeMap<String, String>,
    needs: Arrows,
}

impl Graph {
    fn new(metadata: &Metadata) -> Self {
        let name = |id| metadata[id].name.to_string();
        let mut needs = Arrows::new();
        for node in &metadata.resolve.as_ref().expect("cargo resolves dependencies").nodes {
            let ships = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            needs.entry(name(&node.id)).or_default().extend(ships.map(|dep| name(&dep.pkg)));
        }
        let folder = |id| {
            let manifest = metadata[id].manifest_path.strip_prefix(&metadata.workspace_root);
            let folder = manifest.ok().and_then(|path| path.parent());
            folder.expect("a crate of the workspace is in a folder of it").to_string()
        };
        Self { ours: metadata.workspace_members.iter().map(|id| (name(id), folder(id))).collect(), needs }
    }

    /// The crates of ours in [`SHIPPED`], or the others.
    fn ours(&self, shipped: bool) -> impl Iterator<Item = &String> {
        let ours = self.ours.iter().filter(move |(_, folder)| folder.starts_with(SHIPPED) == shipped);
        ours.map(|(name, _)| name)
    }

    /// The shortest way from one package to another, as `a → b → c`, that does not lead through one of `around`.
    fn way(&self, from: &str, to: &str, around: &[&str]) -> Option<String> {
        let mut seen: BTreeSet<_> = around.iter().copied().chain([from]).collect();
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
fn undrawn(graph: &Graph, blocks: &[Arrows; 2]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (arrows, (mark, shipped)) in blocks.iter().zip(MARKS.into_iter().zip([true, false])) {
        for from in graph.ours(shipped) {
            let Some(drawn) = arrows.get(from) else {
                let what = format!("the crate `{from}` is not among the {mark}");
                breaches.push(Breach::new(PAGE, 1, what, "draw its arrows"));
                continue;
            };
            let needs = graph.needs.get(from).into_iter().flatten();
            for to in needs.filter(|to| graph.ours.contains_key(*to) && !drawn.contains(*to)) {
                breaches.push(in_manifest(graph, from, to, format!("`{from}` must not depend on `{to}`")));
            }
        }
        for name in arrows.keys().filter(|name| !graph.ours(shipped).any(|ours| ours == *name)) {
            let what = format!("the {mark} name `{name}`, which is no crate of ours");
            breaches.push(Breach::new(PAGE, 1, what, "remove its line"));
        }
    }
    let shipped = graph
        .ours(true)
        .filter_map(|from| blocks.first().and_then(|arrows| arrows.get(from)).map(|to| (from, to)));
    for (from, to) in shipped {
        for tool in graph.ours(false).filter(|tool| to.contains(*tool)) {
            let what = format!("`{from}`, which ships, is drawn above `{tool}`, which is for developers");
            breaches.push(Breach::new(PAGE, 1, what, "remove the arrow"));
        }
    }
    breaches
}

/// Foreign crates where they do not belong, also when another crate brings them.
fn misplaced(graph: &Graph, pins: &[Pin]) -> Vec<Breach> {
    let impure = PURE.iter().flat_map(|from| IMPURE.iter().map(move |to| (*from, *to, Vec::new())));
    let pinned = pins.iter().flat_map(|pin| {
        let others = graph
            .ours
            .keys()
            .map(String::as_str)
            .filter(|name| !pin.owners.contains(name))
            .collect::<Vec<_>>();
        others.into_iter().map(move |from| (from, pin.foreign, pin.owners.to_vec()))
    });
    impure
        .chain(pinned)
        .filter_map(|(from, to, owners)| {
            let way = graph.way(from, to, &owners)?;
            let first = way.split(" → ").nth(1).unwrap_or(to);
            Some(in_manifest(graph, from, first, format!("`{to}` has no place below `{from}` ({way})")))
        })
        .collect()
}

fn in_manifest(graph: &Graph, package: &str, dependency: &str, what: String) -> Breach {
    let path = format!("{}/Cargo.toml", graph.ours.get(package).map_or(package, String::as_str));
    let manifest = Source::new(&path, &fs::read_to_string(root().join(&path)).unwrap_or_default());
    let line =
        manifest.lines().find(|(_, line)| line.starts_with(dependency)).map_or(1, |(number, _)| number);
    Breach::new(&path, line, what, "move the code to the crate that may, or speak through a port")
}

#[test]
fn the_crates_depend_on_each_other_as_the_architecture_page_shows() {
    let ours = ours();
    let page = ours.iter().find(|source| source.path == PAGE).expect("there is an architecture page");
    let blocks = MARKS
        .map(|mark| read(&page.text, mark).unwrap_or_else(|| panic!("{PAGE} has no block marked `{mark}`")));
    assert_none(&undrawn(&Graph::new(&metadata()), &blocks));
}

#[test]
fn rules_are_pure_and_heavy_crates_have_owners() {
    assert_none(&misplaced(&Graph::new(&metadata()), &PINS));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    const DRAWN: &str =
        "# Crates\n```text crate arrows\ndomain\nstore → domain\n\nbos → store, domain\n```\n";

    /// `lines` are dependencies; a crate of ours ships, unless a `/` follows it.
    fn graph(lines: &str, ours: &[&str]) -> Graph {
        let needs = read(&format!("```x\n{lines}\n```"), "x").unwrap();
        let folder = |name: &str| match name.strip_suffix('/') {
            Some(name) => (name.to_owned(), format!("testing/{name}")),
            None => (name.to_owned(), format!("crates/{name}")),
        };
        Graph { ours: ours.iter().map(|name| folder(name)).collect(), needs }
    }

    /// The blocks of a page with [`DRAWN`] and one crate for developers.
    fn drawn() -> [Arrows; 2] {
        [read(DRAWN, MARKS[0]).unwrap(), [("bench".to_owned(), ["bos".to_owned()].into())].into()]
    }

    fn messages(breaches: &[Breach]) -> Vec<&str> {
        breaches.iter().map(|breach| breach.what.as_str()).collect()
    }

    #[test]
    fn a_page_without_the_block_shows_no_arrows() {
        assert_eq!(read("# Crates\n```text\ndomain\n```\n", MARKS[0]), None);
        assert_eq!(read(DRAWN, MARKS[0]).unwrap().len(), 3);
        assert_eq!(read(DRAWN, MARKS[1]), None);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_a_breach() {
        let graph = graph(
            "domain → store\nstore → domain\nbos → store\nbench → bos, store",
            &["domain", "store", "bos", "bench/"],
        );
        assert_eq!(
            messages(&undrawn(&graph, &drawn())),
            ["`domain` must not depend on `store`", "`bench` must not depend on `store`"]
        );
    }

    #[test]
    fn a_crate_on_one_side_only_is_a_breach() {
        let graph = graph("domain\nextra\nbos → domain\nother", &["domain", "extra", "bos", "other/"]);
        assert_eq!(
            messages(&undrawn(&graph, &drawn())),
            [
                "the crate `extra` is not among the crate arrows",
                "the crate arrows name `store`, which is no crate of ours",
                "the crate `other` is not among the testing arrows",
                "the testing arrows name `bench`, which is no crate of ours",
            ]
        );
    }

    #[test]
    fn what_ships_is_not_drawn_above_what_is_for_developers() {
        let graph = graph("domain\nbos → bench\nbench → domain", &["domain", "bos", "bench/"]);
        let shipped = read("```x\ndomain\nbos → bench\n```", "x").unwrap();
        let testing = read("```x\nbench → domain\n```", "x").unwrap();
        assert_eq!(
            messages(&undrawn(&graph, &[shipped, testing])),
            ["`bos`, which ships, is drawn above `bench`, which is for developers"]
        );
    }

    #[test]
    fn a_runtime_that_another_crate_brings_below_the_domain_is_a_breach() {
        let graph = graph("domain → clock\nclock → tokio\nbos → axum", &["domain", "bos"]);
        assert_eq!(
            messages(&misplaced(&graph, &PINS)),
            ["`tokio` has no place below `domain` (domain → clock → tokio)"]
        );
    }

    #[test]
    fn a_web_framework_below_the_edge_is_a_breach() {
        let graph = graph("engine → axum\nbos → axum", &["engine", "bos"]);
        assert_eq!(
            messages(&misplaced(&graph, &PINS)),
            ["`axum` has no place below `engine` (engine → axum)"]
        );
    }

    #[test]
    fn what_depends_on_the_owner_may_link_what_it_owns() {
        let graph = graph(
            "kafka → rdkafka\naudit → kafka\nbos → audit\nclient → rdkafka\nbench",
            &["kafka", "audit", "bos", "client", "bench/"],
        );
        assert_eq!(
            messages(&misplaced(&graph, &PINS)),
            ["`rdkafka` has no place below `client` (client → rdkafka)"]
        );
    }
}
