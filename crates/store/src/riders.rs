//! Statements whose answers nobody waits for ride along with the next one: on PostgreSQL a round trip costs several times what a
//! small statement does.
//!
//! `INSERT a`, `DELETE b`, `UPDATE c` become `WITH r1 AS (INSERT a), r2 AS (DELETE b) UPDATE c`. PostgreSQL runs all parts to
//! their end, on the rows as they were before and in an order of its own. So a rider changes rows that no other part reads or
//! changes; [`Tx`](crate::Tx) sees to it that a part about the same table, and every query, comes after it instead.

use std::borrow::Cow;

use crate::error::Error;
use crate::param::{Param, pg_arguments, pg_columns};
use crate::sqlx::postgres::PgArguments;
use crate::sqlx::{Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr};
use crate::tx::Sql;

/// A statement for PostgreSQL, with its values.
pub(crate) type Statement = (SqlStr, PgArguments);

/// What rides along with the next statement.
#[derive(Default)]
pub(crate) struct Riders {
    parts: Vec<Part>,
    arguments: PgArguments,
}

struct Part {
    sql: Sql,
    text: String,
}

impl Riders {
    /// Takes a statement that [fits](Self::fit), its `fixed` values and its rows.
    pub(crate) fn take_on<const N: usize>(
        &mut self,
        sql: Sql,
        text: &str,
        fixed: &[Param<'_>],
        rows: &[[Param<'_>; N]],
    ) -> Result<(), Error> {
        self.parts.push(Part { sql, text: shifted(text, self.arguments.len()) });
        pg_columns(&mut self.arguments, sql.doing, fixed, rows)
    }

    /// Whether what rides along may go with this statement: one that changes rows of another table, without a WITH of its own,
    /// since PostgreSQL takes a WITH that changes rows at the top alone.
    pub(crate) fn fit(&self, sql: Sql) -> bool {
        let changes = ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.postgres.starts_with(verb));
        self.parts.is_empty() || (changes && self.parts.iter().all(|part| part.sql.table != sql.table))
    }

    /// A statement, with what rides along.
    pub(crate) fn board(
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

    /// All that rides along as a statement of its own, with what it does; none when nothing does.
    pub(crate) fn alight(&mut self) -> Option<(Sql, Statement)> {
        let Self { mut parts, arguments, .. } = std::mem::take(self);
        let last = parts.pop()?;
        let text = joined(parts.iter().map(|part| part.text.as_str()), &last.text);
        Some((last.sql, (AssertSqlSafe(text).into_sql_str(), arguments)))
    }
}

fn joined<'t>(riders: impl Iterator<Item = &'t str>, last: &str) -> String {
    let riders: Vec<_> = (1..).zip(riders).map(|(n, rider): (u32, _)| format!("r{n} AS ({rider})")).collect();
    if riders.is_empty() { last.to_owned() } else { format!("WITH {} {last}", riders.join(", ")) }
}

/// The text with every `$n` as `$(n + by)`. None of ours has a `$` that is not a placeholder's.
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

/// The values of a statement without rows.
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

    fn taken_on() -> Riders {
        let mut riders = Riders::default();
        riders.take_on(INSERT, INSERT.postgres, &[], &[[Param::Int(Some(1))]]).unwrap();
        riders.take_on(DELETE, DELETE.postgres, &[Param::Int(None)], &[[Param::Int(Some(1))]]).unwrap();
        riders
    }

    #[test]
    fn what_rides_along_comes_first_and_placeholders_go_on_counting() {
        let mut riders = taken_on();
        assert!(riders.fit(UPDATE) && !riders.fit(INSERT) && !riders.fit(DELETE));
        assert!(!riders.fit(Sql::both("d", "set", "SET LOCAL statement_timeout = '1s'")));
        let (text, _) = riders.board(UPDATE.postgres.into(), |_| Ok(())).unwrap();
        assert_eq!(
            text.as_str(),
            "WITH r1 AS (INSERT INTO a SELECT c1 FROM UNNEST($1::bigint[]) AS r (c1)), \
             r2 AS (DELETE FROM b WHERE x = $2 AND y = ANY ($3)) \
             UPDATE c SET x = $4, y = $5 WHERE z = $4"
        );
        let (text, _) = riders.board(UPDATE.postgres.into(), |_| Ok(())).unwrap();
        assert_eq!(text.as_str(), UPDATE.postgres, "they ride once");
    }

    #[test]
    fn what_nothing_came_after_goes_by_itself() {
        let (sql, (text, arguments)) = taken_on().alight().unwrap();
        assert_eq!((sql.doing, arguments.len()), ("delete", 3));
        assert!(text.as_str().starts_with("WITH r1 AS (INSERT INTO a") && text.as_str().ends_with("($3)"));
        assert!(Riders::default().alight().is_none());
    }
}
