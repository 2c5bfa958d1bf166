//! `docs/reliability.md` prints the catalogue.

use std::path::Path;

const BEGIN: &str = "<!-- invariants: printed from crates/invariants -->\n\n";
const END: &str = "\n<!-- invariants: end -->";

#[test]
fn the_table_in_the_reliability_page_is_the_catalogue() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let page = std::fs::read_to_string(page).expect("the page can be read");
    let table = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let table = table.map(|(table, _)| table).expect("the page marks the table");
    let expected = invariants::markdown_table();
    assert_eq!(table, expected, "put this between the marks in docs/reliability.md:\n{expected}");
}
