//! Links between our pages have a target.

use crate::{
    Breach, assert_none,
    pages::{anchors, links, pages},
    sources::{Source, ours},
};

fn dead_links(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for page in pages(sources) {
        for link in links(page).into_iter().filter(|link| is_ours(&link.text)) {
            let (path, anchor) = link.text.split_once('#').unwrap_or((&link.text, ""));
            let target = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
            let problem = match target {
                Some(target) if is_folder(sources, &target) => None,
                Some(target) => match sources.iter().find(|source| source.path == target) {
                    None => Some(format!("`{target}` does not exist")),
                    Some(found)
                        if anchor.is_empty() || anchors(found).iter().any(|known| known == anchor) =>
                    {
                        None
                    }
                    Some(_) => Some(format!("`{target}` has no heading `#{anchor}`")),
                },
                None => Some(format!("`{path}` leads out of the repository")),
            };
            if let Some(problem) = problem {
                breaches.push(Breach::new(&page.path, link.line, problem, "correct the link"));
            }
        }
    }
    breaches
}

/// Whether the link is to a file of the repository. Other addresses (`https:`, `mailto:`) are not checked, because tests
/// use no network; routes of the service, which begin with `/`, are tested with the service.
fn is_ours(link: &str) -> bool {
    !link.starts_with('/') && !link.split('/').next().unwrap_or(link).contains(':')
}

fn is_folder(sources: &[Source], target: &str) -> bool {
    target.is_empty() || sources.iter().any(|source| source.path.starts_with(&format!("{target}/")))
}

/// The path of a link from the root; `None` when it leaves the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()?),
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}

#[test]
fn every_link_between_our_pages_has_a_target() {
    assert_none(&dead_links(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_link_without_a_target_is_a_breach() {
        let sources = [
            Source::new(
                "docs/a.md",
                "[b](b.md)\n[up](../../b.md)\n[heading](c.md#no-such)\n[mine](#no-such)\n",
            ),
            Source::new("docs/c.md", "# C\n"),
        ];
        let breaches = dead_links(&sources);
        assert_eq!(
            breaches.iter().map(|breach| breach.what.as_str()).collect::<Vec<_>>(),
            [
                "`docs/b.md` does not exist",
                "`../../b.md` leads out of the repository",
                "`docs/c.md` has no heading `#no-such`",
                "`docs/a.md` has no heading `#no-such`",
            ]
        );
        assert_eq!(breaches.iter().map(|breach| breach.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn links_to_files_folders_headings_and_other_hosts_are_not() {
        let sources = [
            Source::new(
                "docs/a.md",
                "# A\n[c](./c.md#c-c) [up](../README.md) [folder](../docs/) [root](..) [me](#a) [web](https://a.b/c.md)\n",
            ),
            Source::new("docs/c.md", "# C, c\n"),
            Source::new("README.md", ""),
        ];
        assert_eq!(dead_links(&sources), []);
    }
}
