//! Deferred writes: statements whose result the unit does not need are sent as parts of its next statement, because a round
//! trip to PostgreSQL costs several times as much as a small statement.
//!
//! `INSERT a`, `DELETE b`, `UPDATE c` become `WITH r1 AS (INSERT a), r2 AS (DELETE b) UPDATE c`. PostgreSQL runs all parts to
//! completion, in no defined order, and every part sees the rows as they were before the statement. So no two parts may use the
//! same table: [`OpenTransaction`](super::transaction::OpenTransaction) flushes the deferred writes before a statement about
//! one of their tables and before every query. See `docs/decisions/0013-round-trips-to-postgresql.md`.

use std::borrow::Cow;

use crate::error::Error;
use crate::param::{Param, pg_arguments, pg_columns};
use crate::sql::Sql;
use crate::sqlx::postgres::PgArguments;
use crate::sqlx::{Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// The text of a statement for PostgreSQL, and its arguments.
pub(crate) type Statement = (SqlStr, PgArguments);

/// Writes that wait to be sent with the next statement.
#[derive(Default)]
pub(crate) struct DeferredWrites {
    parts: Vec<Part>,
    arguments: PgArguments,
}

struct Part {
    sql: Sql,
    text: String,
}

impl DeferredWrites {
    /// Defers a statement that [fits](Self::fits), with its `fixed` arguments and its rows.
    pub(crate) fn push<const N: usize>(
        &mut self,
        sql: Sql,
        text: &str,
        fixed: &[Param<'_>],
        rows: &[[Param<'_>; N]],
    ) -> Result<(), Error> {
        self.parts.push(Part { sql, text: shifted(text, self.arguments.len()) });
        pg_columns(&mut self.arguments, sql.doing, fixed, rows)
    }

    /// Whether the deferred writes may be attached to this statement, or this statement may be deferred after them: it must
    /// change rows of another table, and must not begin with WITH, since PostgreSQL accepts a data-modifying WITH at the top
    /// level only.
    pub(crate) fn fits(&self, sql: Sql) -> bool {
        let changes = ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.postgres.starts_with(verb));
        self.parts.is_empty() || (changes && self.parts.iter().all(|part| part.sql.table != sql.table))
    }

    /// A statement with all deferred writes attached to it. None remain.
    pub(crate) fn attach(
        &mut self,
        text: Cow<'static, str>,
        values: impl FnOnce(&mut PgArguments) -> Result<(), Error>,
    ) -> Result<Statement, Error> {
        let Self { parts, mut arguments, .. } = std::mem::take(self);
        let text = if parts.is_empty() {
            match text {
                Cow::Borrowed(text) => text.into_sql_str(),
                Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
            }
        } else {
            let text = shifted(&text, arguments.len());
            AssertSqlSafe(joined(parts.iter().map(|part| part.text.as_str()), &text)).into_sql_str()
        };
        values(&mut arguments)?;
        Ok((text, arguments))
    }

    /// All deferred writes as one statement, with the [`Sql`] of the last one for errors; `None` if there are none.
    pub(crate) fn flush(&mut self) -> Option<(Sql, Statement)> {
        let Self { mut parts, arguments, .. } = std::mem::take(self);
        let last = parts.pop()?;
        let text = joined(parts.iter().map(|part| part.text.as_str()), &last.text);
        Some((last.sql, (AssertSqlSafe(text).into_sql_str(), arguments)))
    }
}

fn joined<'t>(parts: impl Iterator<Item = &'t str>, last: &str) -> String {
    let parts: Vec<_> = (1..).zip(parts).map(|(n, part): (u32, _)| format!("r{n} AS ({part})")).collect();
    if parts.is_empty() { last.to_owned() } else { format!("WITH {} {last}", parts.join(", ")) }
}

/// The text with every `$n` replaced by `$(n + by)`. No statement of this crate has a `$` outside a placeholder.
fn shifted(text: &str, by: usize) -> String {
    use std::fmt::Write as _;
    let mut parts = text.split('$');
    let mut shifted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let number = number.parse::<usize>().map_or(0, |number| number + by);
        let _ = write!(shifted, "${number}{rest}");
    }
    shifted
}

/// Adds the arguments of a statement without rows.
pub(crate) fn values<'p>(
    doing: &'static str,
    params: &'p [Param<'p>],
) -> impl FnOnce(&mut PgArguments) -> Result<(), Error> + 'p {
    move |arguments| pg_arguments(arguments, doing, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT: Sql =
        Sql::both("a", "insert", "INSERT INTO a SELECT c1 FROM UNNEST($1::bigint[]) AS r (c1)");
    const DELETE: Sql = Sql::both("b", "delete", "DELETE FROM b WHERE x = $1 AND y = ANY ($2)");
    const UPDATE: Sql = Sql::both("c", "update", "UPDATE c SET x = $1, y = $2 WHERE z = $1");

    fn two_deferred() -> DeferredWrites {
        let mut deferred = DeferredWrites::default();
        deferred.push(INSERT, INSERT.postgres, &[], &[[Param::Int(Some(1))]]).unwrap();
        deferred.push(DELETE, DELETE.postgres, &[Param::Int(None)], &[[Param::Int(Some(1))]]).unwrap();
        deferred
    }

    #[test]
    fn deferred_writes_come_first_and_placeholders_are_renumbered() {
        let mut deferred = two_deferred();
        assert!(deferred.fits(UPDATE) && !deferred.fits(INSERT) && !deferred.fits(DELETE));
        assert!(!deferred.fits(Sql::both("d", "set", "SET LOCAL statement_timeout = '1s'")));
        let (text, _) = deferred.attach(UPDATE.postgres.into(), |_| Ok(())).unwrap();
        assert_eq!(
            text.as_str(),
            "WITH r1 AS (INSERT INTO a SELECT c1 FROM UNNEST($1::bigint[]) AS r (c1)), \
             r2 AS (DELETE FROM b WHERE x = $2 AND y = ANY ($3)) \
             UPDATE c SET x = $4, y = $5 WHERE z = $4"
        );
        let (text, _) = deferred.attach(UPDATE.postgres.into(), |_| Ok(())).unwrap();
        assert_eq!(text.as_str(), UPDATE.postgres, "each is sent once");
    }

    #[test]
    fn deferred_writes_are_flushed_as_one_statement() {
        let (sql, (text, arguments)) = two_deferred().flush().unwrap();
        assert_eq!((sql.doing, arguments.len()), ("delete", 3));
        assert!(text.as_str().starts_with("WITH r1 AS (INSERT INTO a") && text.as_str().ends_with("($3)"));
        assert!(DeferredWrites::default().flush().is_none());
    }
}
