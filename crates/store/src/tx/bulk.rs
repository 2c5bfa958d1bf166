//! Multi-row INSERTs for PostgreSQL: their text, and how rows are split into statements.

use crate::param::Param;
use crate::sql::Sql;

/// Maximum rows per multi-row INSERT (chosen).
const ROWS_PER_STATEMENT: usize = 500;

/// Maximum bytes of values per multi-row INSERT (8 MiB, chosen).
const BYTES_PER_STATEMENT: usize = 8 << 20;

/// The text of an INSERT whose rows are bound as one array per column; `None` without rows. All values of a column have the
/// same variant.
pub(crate) fn insert_columns<const N: usize>(
    sql: Sql,
    rows: &[[Param<'_>; N]],
    tail: &str,
) -> Option<String> {
    use std::fmt::Write as _;
    let row = rows.first()?;
    let head = sql.postgres.split_once("VALUES").map_or(sql.postgres, |(head, _)| head);
    let (mut values, mut arrays, mut names) = (String::new(), String::new(), String::new());
    for (column, param) in (1..).zip(row) {
        let comma = if column == 1 { "" } else { ", " };
        let (array, cast) = match param {
            Param::Int(_) => ("bigint", ""),
            Param::Text(_) => ("text", ""),
            Param::Bytes(_) => ("bytea", ""),
            Param::Uuid(_) => ("uuid", ""),
            Param::Time(_) => ("timestamptz", ""),
            Param::Json(_) => ("text", "::jsonb"),
        };
        let _ = write!(values, "{comma}c{column}{cast}");
        let _ = write!(arrays, "{comma}${column}::{array}[]");
        let _ = write!(names, "{comma}c{column}");
    }
    Some(format!("{head}SELECT {values} FROM UNNEST({arrays}) AS r ({names}) {tail}"))
}

/// Splits rows into chunks of at most [`ROWS_PER_STATEMENT`] rows and [`BYTES_PER_STATEMENT`] bytes; a larger row is a chunk of
/// its own.
pub(crate) fn chunks<'a, 'p, const N: usize>(mut rows: &'a [[Param<'p>; N]]) -> Vec<&'a [[Param<'p>; N]]> {
    let mut chunks = Vec::new();
    while !rows.is_empty() {
        let mut bytes = 0;
        let fits = rows
            .iter()
            .take(ROWS_PER_STATEMENT)
            .take_while(|row| {
                bytes += row.iter().map(Param::size).sum::<usize>();
                bytes <= BYTES_PER_STATEMENT
            })
            .count()
            .max(1);
        let (chunk, rest) = rows.split_at(fits);
        chunks.push(chunk);
        rows = rest;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_has_the_same_text() {
        const INSERT: Sql = Sql::both("t", "insert", "INSERT INTO t (a, b) VALUES ($1, $2)");
        let rows = [[Param::Int(Some(1)), Param::Json(None)]];
        assert_eq!(insert_columns::<2>(INSERT, &[], ""), None);
        assert_eq!(
            insert_columns(INSERT, &rows, "ON CONFLICT DO NOTHING").unwrap(),
            "INSERT INTO t (a, b) SELECT c1, c2::jsonb FROM UNNEST($1::bigint[], $2::text[]) AS r (c1, c2) \
             ON CONFLICT DO NOTHING"
        );
    }

    #[test]
    fn rows_are_split_by_count_and_by_bytes_and_a_huge_row_is_a_chunk_of_its_own() {
        let big = vec![0_u8; BYTES_PER_STATEMENT + 1];
        let rows: Vec<[Param<'_>; 1]> =
            (0..501).map(|_| [Param::Int(Some(1))]).chain([[Param::Bytes(Some(&big))]]).collect();
        assert_eq!(chunks(&rows).iter().map(|c| c.len()).collect::<Vec<_>>(), [500, 1, 1]);
    }
}
