//! The index of decision records is complete.

use crate::{
    Breach, assert_none,
    pages::links,
    sources::{Source, ours},
};

const FOLDER: &str = "docs/decisions/";
const INDEX: &str = "docs/decisions/README.md";

/// Records without a line in the index, and numbers that two records have.
fn unlisted(sources: &[Source]) -> Vec<Breach> {
    let index = sources.iter().find(|source| source.path == INDEX);
    let listed: Vec<_> = index.map(links).unwrap_or_default().into_iter().map(|link| link.text).collect();
    let records = sources.iter().filter(|source| source.has_extension("md") && source.path != INDEX);
    let records: Vec<_> = records.filter_map(|source| source.path.strip_prefix(FOLDER)).collect();
    let mut breaches = Vec::new();
    for record in &records {
        let path = format!("{FOLDER}{record}");
        if !listed.iter().any(|link| link == record) {
            let fix = format!("add its line to {INDEX}");
            breaches.push(Breach::new(&path, 1, "this record is not in the index", fix));
        }
        let number = record.split('-').next();
        if records.iter().take_while(|other| *other != record).any(|other| other.split('-').next() == number)
        {
            breaches.push(Breach::new(
                &path,
                1,
                "another record has this number",
                "take the next free number",
            ));
        }
    }
    breaches
}

#[test]
fn every_decision_is_in_the_index() {
    assert_none(&unlisted(&ours()));
}

#[cfg(test)]
mod bad_examples {
    use super::*;

    #[test]
    fn a_record_that_is_not_listed_or_repeats_a_number_is_a_breach() {
        let sources = [
            Source::new("docs/decisions/0001-a.md", ""),
            Source::new("docs/decisions/0002-b.md", ""),
            Source::new("docs/decisions/0002-c.md", ""),
            Source::new("docs/operations.md", ""),
            Source::new(INDEX, "- [1](0001-a.md) a\n- [2](0002-b.md) b\n- 0002-c.md\n"),
        ];
        let breaches = unlisted(&sources);
        assert_eq!(
            breaches.iter().map(|breach| (breach.path.as_str(), breach.what.as_str())).collect::<Vec<_>>(),
            [
                ("docs/decisions/0002-c.md", "this record is not in the index"),
                ("docs/decisions/0002-c.md", "another record has this number"),
            ]
        );
    }

    #[test]
    fn without_an_index_every_record_is_missing() {
        assert_eq!(unlisted(&[Source::new("docs/decisions/0001-a.md", "")]).len(), 1);
    }
}
