//! SQL statements as constants.

/// A statement: its action (for errors), its table, and its text for each database.
///
/// Placeholders are `$1`, `$2`, … in both texts. SQLite numbers `$n` by first appearance, so they must first appear in
/// ascending order; a text for SQLite alone may use `?1`, `?2`, … in any order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    /// The action, as in "the database cannot *record events*".
    pub(crate) doing: &'static str,
    /// The table: named in [`Error::Corrupt`](crate::Error::Corrupt), and compared by deferred writes.
    pub(crate) table: &'static str,
    /// The text for PostgreSQL.
    pub(crate) postgres: &'static str,
    /// The text for SQLite.
    pub(crate) sqlite: &'static str,
}

impl Sql {
    /// A text that both databases accept.
    pub(crate) const fn both(table: &'static str, doing: &'static str, text: &'static str) -> Self {
        Self::each(table, doing, text, text)
    }

    /// Two texts, where the databases differ. The comment of each use gives the reason.
    pub(crate) const fn each(
        table: &'static str,
        doing: &'static str,
        postgres: &'static str,
        sqlite: &'static str,
    ) -> Self {
        assert!(placeholders_ascend(sqlite), "SQLite numbers $n by first appearance: write ?n, or reorder");
        Self { doing, table, postgres, sqlite }
    }
}

/// Whether every `$n` first appears after all smaller ones. Evaluated when a constant is compiled.
const fn placeholders_ascend(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let mut highest = 0;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'$' {
            let mut number = 0;
            while let [digit @ b'0'..=b'9', tail @ ..] = rest {
                number = number * 10 + (*digit - b'0') as u32;
                rest = tail;
            }
            if number > highest + 1 {
                return false;
            }
            if number > highest {
                highest = number;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_must_first_appear_in_ascending_order() {
        assert!(placeholders_ascend("a = $1 AND b = $2 AND c = $1 AND d = $3 OR e = ?9"));
        assert!(!placeholders_ascend("a = $2 AND b = $1"));
    }
}
