//! Every route of the API is in its description, and what is for administrators is named in the list of authentication.

use std::collections::BTreeSet;

use crate::{
    Breach, assert_none,
    sources::{Source, ends_of_word, file, ours},
};

const DESCRIPTION: &str = "crates/api/openapi.json";
const AUTH: &str = "crates/api/src/auth.rs";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Routes that the description leaves out: itself, its pages, the pages of problems, and the platform's path of `/healthz`.
const UNDESCRIBED: [&str; 7] =
    ["/openapi.json", "/docs", "/docs/", "/docs/{*path}", "/problems", "/problems/{code}", "/v1/healthz"];

/// Modules whose handlers concern the whole installation.
const FOR_ADMINISTRATORS: [&str; 2] = ["admin::", "tokens::"];

/// A method of a route, with the handler as it is written.
struct Route<'a> {
    source: &'a Source,
    line: usize,
    path: &'a str,
    method: &'static str,
    handler: &'a str,
}

/// The arguments of a call, of which `text` begins after the opening parenthesis.
fn arguments_of_call(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

fn routes(sources: &[Source]) -> Vec<Route<'_>> {
    let mut routes = Vec::new();
    let files = sources.iter().filter(|source| source.path.starts_with("crates/api/src/"));
    for source in files.filter(|source| source.has_extension("rs")) {
        let call = ".route(";
        for (at, _) in source.text.match_indices(call) {
            let arguments = arguments_of_call(&source.text[at + call.len()..]);
            let Some((path, handlers)) =
                arguments.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'))
            else {
                continue;
            };
            for method in METHODS {
                for end in ends_of_word(handlers, method) {
                    let Some(handler) = handlers[end..].strip_prefix('(') else { continue };
                    let handler = arguments_of_call(handler);
                    routes.push(Route { source, line: source.line_at(at), path, method, handler });
                }
            }
        }
    }
    routes
}

/// Path and method of every operation of the description, with its line. The file is indented by two blanks.
fn operations(description: &Source) -> Vec<(usize, &str, &str)> {
    let key = |line: &str, indent: &str| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('"'));
    let mut path = "";
    let mut operations = Vec::new();
    for (number, line) in description.lines() {
        let Some(name) = line.split('"').nth(1) else { continue };
        if key(line, "    ") {
            path = name;
        } else if key(line, "      ") && path.starts_with('/') && METHODS.contains(&name) {
            operations.push((number, path, name));
        }
    }
    operations
}

fn undescribed(sources: &[Source]) -> Vec<Breach> {
    let routes = routes(sources);
    let operations = operations(file(sources, DESCRIPTION));
    let described: BTreeSet<_> = operations.iter().map(|(_, path, method)| (*path, *method)).collect();
    let served: BTreeSet<_> = routes.iter().map(|route| (route.path, route.method)).collect();
    let mut breaches = Vec::new();
    for route in routes.iter().filter(|route| !UNDESCRIBED.contains(&route.path)) {
        if !described.contains(&(route.path, route.method)) {
            let what = format!("`{} {}` is not in {DESCRIPTION}", route.method, route.path);
            let fix = "name its handler in crates/api/src/openapi.rs, and copy the new description";
            breaches.push(Breach::new(&route.source.path, route.line, what, fix));
        }
    }
    for (line, path, method) in
        operations.iter().filter(|(_, path, method)| !served.contains(&(*path, *method)))
    {
        let what = format!("no router serves `{method} {path}`");
        breaches.push(Breach::new(DESCRIPTION, *line, what, "add its route in crates/api/src/lib.rs"));
    }
    breaches
}

/// Routes of administrators' handlers that another scope than `admin` reaches.
fn open_to_others(sources: &[Source]) -> Vec<Breach> {
    let auth = file(sources, AUTH);
    let list = auth.lines().find(|(_, line)| line.starts_with("const FOR_ADMINISTRATORS"));
    let listed: Vec<_> = list.map_or("", |(_, line)| line).split('"').skip(1).step_by(2).collect();
    let is_listed = |path: &str| {
        let below = |prefix: &&str| path.strip_prefix(*prefix);
        listed.iter().filter_map(below).any(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let routes = routes(sources).into_iter();
    routes
        .filter(|route| FOR_ADMINISTRATORS.iter().any(|module| route.handler.starts_with(module)))
        .filter(|route| !is_listed(route.path))
        .map(|route| {
            let what = format!("`{}` is for administrators and not in their list", route.path);
            Breach::new(
                &route.source.path,
                route.line,
                what,
                format!("add it to FOR_ADMINISTRATORS in {AUTH}"),
            )
        })
        .collect()
}

#[test]
fn every_route_is_described_and_every_operation_has_a_route() {
    let ours = ours();
    assert!(routes(&ours).len() > 30, "the rule finds the routes");
    assert_none(&undescribed(&ours));
}

#[test]
fn handlers_of_administrators_require_their_scope() {
    assert_none(&open_to_others(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn sources() -> [Source; 3] {
        let router = "Router::new()\n    .route(\"/v1/batch\", post(batch::create).get(batch::list))\n    .route(\n        \
                      \"/v1/letters/{id}\",\n        get(admin::show).delete(admin::drop),\n    )\n    \
                      .route(\"/docs\", get(docs::enter))\n    .route(\"/v1/tokens/{id}\", delete(tokens::revoke))\n";
        let described = "{\n  \"paths\": {\n    \"/v1/batch\": {\n      \"get\": {\n        \"post\": {}\n      }\n    },\n    \
                         \"/v1/gone\": {\n      \"get\": {\n      }\n    },\n    \"/v1/letters/{id}\": {\n      \"get\": {\n      },\n      \
                         \"delete\": {\n      }\n    },\n    \"/v1/tokens/{id}\": {\n      \"delete\": {\n      }\n    }\n  }\n}\n";
        [
            Source::new("crates/api/src/lib.rs", router),
            Source::new(DESCRIPTION, described),
            Source::new(AUTH, "const FOR_ADMINISTRATORS: [&str; 2] = [\"/v1/tokens\", \"/v1/letter\"];\n"),
        ]
    }

    fn places(breaches: &[Breach]) -> Vec<(usize, &str)> {
        breaches.iter().map(|breach| (breach.line, breach.what.as_str())).collect()
    }

    #[test]
    fn a_route_without_an_operation_and_an_operation_without_a_route_are_breaches() {
        let breaches = undescribed(&sources());
        assert_eq!(
            places(&breaches),
            [
                (2, "`post /v1/batch` is not in crates/api/openapi.json"),
                (9, "no router serves `get /v1/gone`"),
            ]
        );
    }

    #[test]
    fn an_administrators_handler_outside_their_list_is_a_breach() {
        let what = "`/v1/letters/{id}` is for administrators and not in their list";
        assert_eq!(places(&open_to_others(&sources())), [(3, what), (3, what)]);
    }
}
