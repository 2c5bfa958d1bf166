//! Sets of files are complete: migrations in pairs and in the program's list, a problem for every refusal, a page for every
//! problem, the essays of the demo.

use std::collections::BTreeSet;

use crate::{
    Breach, assert_none,
    sources::{Source, file, ours},
};

const MIGRATIONS: [&str; 2] = ["crates/store/migrations/postgres/", "crates/store/migrations/sqlite/"];
/// The list of the migrations that the program makes.
const SCHEMA: &str = "crates/store/src/schema.rs";
const PROBLEMS: &str = "crates/api/src/problems/";
const REFUSALS: &str = "crates/domain/src/refusal.rs";
/// Codes of refusals that callers get under another code, and under which.
const RENAMED: [(&str, &str); 1] = [("no_essays_left", "wrong_stage")];
const DEMO: &str = "demo/class-9b/";

/// The names of the files in a folder, without the folder.
fn names<'a>(sources: &'a [Source], folder: &str) -> BTreeSet<&'a str> {
    sources.iter().filter_map(|source| source.path.strip_prefix(folder)).collect()
}

fn single_migrations(sources: &[Source]) -> Vec<Breach> {
    let [postgres, sqlite] = MIGRATIONS;
    let (of_postgres, of_sqlite) = (names(sources, postgres), names(sources, sqlite));
    let single = |has, lacks, name: &str| {
        let what = format!("this migration has no twin in {lacks}");
        Breach::new(
            &format!("{has}{name}"),
            1,
            what,
            "write its twin, if only a comment that says why it is empty",
        )
    };
    let without_sqlite = of_postgres.difference(&of_sqlite).map(|name| single(postgres, sqlite, name));
    let without_postgres = of_sqlite.difference(&of_postgres).map(|name| single(sqlite, postgres, name));
    without_sqlite.chain(without_postgres).collect()
}

/// Migrations that no program makes, because they are not in its list.
fn unlisted_migrations(sources: &[Source]) -> Vec<Breach> {
    let list = file(sources, SCHEMA);
    let migrations =
        sources.iter().filter(|source| MIGRATIONS.iter().any(|folder| source.path.starts_with(folder)));
    let unlisted = migrations.filter(|source| {
        let path = source.path.trim_start_matches("crates/store/");
        !list.text.contains(&format!("include_str!(\"../{path}\")"))
    });
    unlisted
        .map(|source| {
            let fix = format!("add it to MIGRATIONS in {SCHEMA}, and raise SCHEMA");
            Breach::new(&source.path, 1, "no program makes this migration", fix)
        })
        .collect()
}

/// The codes of the closed set of problems, with the file that lists them: the `codes!` table's, or the variants of
/// `enum Code` in snake case.
fn codes(sources: &[Source]) -> Vec<(&Source, usize, String)> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("crates/api/src/")) {
        let list = source.lines().skip_while(|(_, line)| {
            !["pub(crate) enum Code {", "pub enum Code {", "codes! {"].contains(&line.trim())
        });
        let variants =
            list.skip(1).take_while(|(_, line)| line.trim() != "}").filter_map(|(number, line)| {
                if let Some((_, named)) = line.trim().split_once(" = \"") {
                    return Some((number, named.split_once('"')?.0.to_owned()));
                }
                let name = line.trim().strip_suffix(',')?;
                name.chars().all(char::is_alphanumeric).then(|| (number, snake(name)))
            });
        found.extend(variants.map(|(number, code)| (source, number, code)));
    }
    found
}

fn snake(name: &str) -> String {
    let mut code = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.extend(c.to_lowercase());
    }
    code
}

fn unexplained_problems(sources: &[Source]) -> Vec<Breach> {
    let codes = codes(sources);
    let pages = names(sources, PROBLEMS);
    let without_page = codes.iter().filter(|(_, _, code)| !pages.contains(format!("{code}.md").as_str()));
    let mut breaches: Vec<_> = without_page
        .map(|(source, line, code)| {
            let what = format!("the problem `{code}` has no page");
            Breach::new(&source.path, *line, what, format!("write {PROBLEMS}{code}.md"))
        })
        .collect();
    let without_code =
        pages.iter().filter(|page| !codes.iter().any(|(_, _, code)| **page == format!("{code}.md")));
    breaches.extend(without_code.map(|page| {
        let what = "no variant of `enum Code` has this page";
        Breach::new(&format!("{PROBLEMS}{page}"), 1, what, "name it for its code, or remove it")
    }));
    breaches
}

/// Refusals of the rules whose code is no problem's, so that callers get another code.
fn refusals_without_a_problem(sources: &[Source]) -> Vec<Breach> {
    let problems = codes(sources);
    let refusals = file(sources, REFUSALS);
    let codes =
        refusals.block("pub const fn code").filter_map(|(line, text)| Some((line, text.split('"').nth(1)?)));
    codes
        .filter(|(_, code)| !RENAMED.iter().any(|(renamed, _)| renamed == code))
        .filter(|(_, code)| !problems.iter().any(|(_, _, problem)| problem == code))
        .map(|(line, code)| {
            let what = format!("the refusal `{code}` is no problem");
            Breach::new(REFUSALS, line, what, "add the code to crates/api/src/problem/code.rs, with its page")
        })
        .collect()
}

fn missing_essays(sources: &[Source]) -> Vec<Breach> {
    let essays = names(sources, DEMO);
    let mut wanted = (1..=30).map(|number| format!("s-{number:03}.txt"));
    let missing = wanted.find(|name| !essays.contains(name.as_str()));
    missing
        .map(|name| {
            let what = "the demo's class has 30 essays, this one is missing";
            Breach::new(&format!("{DEMO}{name}"), 1, what, "write it, in a pupil's words")
        })
        .into_iter()
        .collect()
}

#[test]
fn every_migration_has_its_twin_for_the_other_database() {
    assert_none(&single_migrations(&ours()));
}

#[test]
fn every_migration_is_in_the_list_of_the_program() {
    assert_none(&unlisted_migrations(&ours()));
}

#[test]
fn every_refusal_is_a_problem() {
    let ours = ours();
    assert!(codes(&ours).len() > 50, "the rule finds the problems");
    assert_none(&refusals_without_a_problem(&ours));
}

#[test]
fn every_problem_has_a_page_and_every_page_a_problem() {
    assert_none(&unexplained_problems(&ours()));
}

#[test]
fn the_demo_has_a_whole_class() {
    assert_none(&missing_essays(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    fn files(paths: &[&str]) -> Vec<Source> {
        paths.iter().map(|path| Source::new(path, "")).collect()
    }

    fn paths(breaches: &[Breach]) -> Vec<&str> {
        breaches.iter().map(|breach| breach.path.as_str()).collect()
    }

    #[test]
    fn a_migration_for_one_database_is_a_breach() {
        let [postgres, sqlite] = MIGRATIONS;
        let (first, second, third) =
            (format!("{postgres}0001_a.sql"), format!("{sqlite}0001_a.sql"), format!("{sqlite}0002_b.sql"));
        let breaches = single_migrations(&files(&[&first, &second, &third]));
        assert_eq!(paths(&breaches), [third]);
    }

    #[test]
    fn a_migration_that_is_not_in_the_list_is_a_breach() {
        let [postgres, sqlite] = MIGRATIONS;
        let list = "include_str!(\"../migrations/sqlite/0001_a.sql\"), include_str!(\"../migrations/postgres/0001_a.sql\")";
        let (listed, unlisted) = (format!("{sqlite}0001_a.sql"), format!("{postgres}0002_b.sql"));
        let mut sources = vec![Source::new(SCHEMA, list)];
        sources.extend(files(&[&listed, &unlisted]));
        assert_eq!(paths(&unlisted_migrations(&sources)), [unlisted]);
    }

    #[test]
    fn a_refusal_without_a_problem_is_a_breach() {
        let refusals = "impl Refusal {\n    pub const fn code(&self) -> &'static str {\n        match self {\n            \
                        Self::A => \"invalid\",\n            Self::B { .. } => \"odd\",\n        }\n    }\n}\n";
        let problems = "codes! {\n    Invalid = \"invalid\", 422, Final, \"Not valid\";\n}\n";
        let sources =
            [Source::new(REFUSALS, refusals), Source::new("crates/api/src/problem/code.rs", problems)];
        let breaches = refusals_without_a_problem(&sources);
        assert_eq!((breaches.len(), breaches[0].line), (1, 5));
        assert_eq!(breaches[0].what, "the refusal `odd` is no problem");
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_breaches() {
        let codes = "/// The codes.\npub enum Code {\n    /// Docs.\n    Invalid,\n    InvalidUtf8,\n}\nenum Other {\n    A,\n}\n";
        let mut sources = vec![Source::new("crates/api/src/problem.rs", codes)];
        sources.extend(files(&["crates/api/src/problems/invalid.md", "crates/api/src/problems/old.md"]));
        let breaches = unexplained_problems(&sources);
        assert_eq!(paths(&breaches), ["crates/api/src/problem.rs", "crates/api/src/problems/old.md"]);
        assert_eq!(breaches[0].what, "the problem `invalid_utf8` has no page");
        assert_eq!(breaches[0].line, 5);
    }

    #[test]
    fn a_class_that_misses_an_essay_is_a_breach() {
        let class: Vec<_> =
            (1..=30).map(|number| Source::new(&format!("{DEMO}s-{number:03}.txt"), "")).collect();
        assert_eq!(missing_essays(&class), []);
        assert_eq!(paths(&missing_essays(&class[..29])), ["demo/class-9b/s-030.txt"]);
    }
}
