//! The schema: its migrations and its version. SQLite is migrated when it is opened, after a backup of its file; PostgreSQL by
//! `bos migrate up`.
//!
//! Within a minor version migrations only add. `meta` holds the current schema version and the oldest schema version whose
//! programs may still use it (`min_reader`), so that a rolling restart works.

use std::path::Path;

use crate::clock::Now;
use crate::error::Error;
use crate::promotion::{PROMOTED, Promoted};
use crate::sqlx::{self, PgConnection, PgPool};
use rusqlite::{Connection, OptionalExtension as _};

struct Migration {
    version: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sqlite: include_str!("../migrations/sqlite/0001_base.sql"),
        postgres: include_str!("../migrations/postgres/0001_base.sql"),
    },
    Migration {
        version: 2,
        sqlite: include_str!("../migrations/sqlite/0002_tokens.sql"),
        postgres: include_str!("../migrations/postgres/0002_tokens.sql"),
    },
    Migration {
        version: 3,
        sqlite: include_str!("../migrations/sqlite/0003_cheap_checks.sql"),
        postgres: include_str!("../migrations/postgres/0003_cheap_checks.sql"),
    },
    Migration {
        version: 4,
        sqlite: include_str!("../migrations/sqlite/0004_early_news.sql"),
        postgres: include_str!("../migrations/postgres/0004_early_news.sql"),
    },
    Migration {
        version: 5,
        sqlite: include_str!("../migrations/sqlite/0005_tokens_without_auth.sql"),
        postgres: include_str!("../migrations/postgres/0005_tokens_without_auth.sql"),
    },
    Migration {
        version: 6,
        sqlite: include_str!("../migrations/sqlite/0006_named_essays.sql"),
        postgres: include_str!("../migrations/postgres/0006_named_essays.sql"),
    },
];

/// The schema version that this program migrates to and needs.
pub const SCHEMA: i64 = 6;
/// The oldest schema version whose programs can work on [`SCHEMA`]: a rolling restart is possible from there.
pub const MIN_READER: i64 = 1;

/// Whether this program can use a database with this schema version and minimum reader version (see [`crate::Store::schema`]).
pub const fn supports_schema((current, min_reader): (i64, i64)) -> bool {
    current >= SCHEMA && min_reader <= SCHEMA
}

/// Migrates an SQLite file to [`SCHEMA`], after a backup if it has tables already.
pub(crate) fn migrate_sqlite(conn: &Connection, path: &Path, now: &Now) -> Result<(), Error> {
    let refused = |e| Error::sqlite("migrate its tables", e);
    let current = sqlite_version(conn).map_err(refused)?;
    if current.is_some() {
        reject_promoted(conn, path)?;
    }
    if let Some((current, min_reader)) = current {
        if min_reader > SCHEMA {
            return Err(too_new(current, min_reader));
        }
        if current < SCHEMA {
            back_up(conn, path, current)?;
        }
    }
    let from = current.map_or(0, |(current, _)| current);
    let pending = MIGRATIONS.iter().filter(|m| m.version > from);
    for migration in pending {
        let text = format!(
            "BEGIN IMMEDIATE; {} \
             INSERT INTO meta (key, value) VALUES ('schema', '{v}'), ('min_reader', '{MIN_READER}'), ('migrated_at', '{at}') \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value; COMMIT;",
            migration.sqlite,
            v = migration.version,
            at = crate::param::time_text(now()),
        );
        conn.execute_batch(&text).map_err(refused)?;
    }
    Ok(())
}

/// Rejects a file whose installation was promoted to PostgreSQL: otherwise both would send messages, each with part of the
/// state.
fn reject_promoted(conn: &Connection, path: &Path) -> Result<(), Error> {
    let fact: Option<String> = conn
        .query_row("SELECT value FROM meta WHERE key = ?1", [PROMOTED], |row| row.get(0))
        .optional()
        .map_err(|e| Error::sqlite("read whether it was promoted", e))?;
    let Some(fact) = fact else { return Ok(()) };
    let promoted = serde_json::from_str::<Promoted>(&fact);
    let Promoted { to, at, .. } = promoted.map_err(|_| Error::corrupt("meta", "value", PROMOTED))?;
    Err(Error::Unfit {
        problem: format!(
            "the installation of {} was promoted to PostgreSQL at {to} on {} (promoted); serve it from there with \
             DATABASE_URL, and keep or delete this folder",
            path.display(),
            at.format("%Y-%m-%d")
        ),
    })
}

/// Rejects tables that are not migrated to [`SCHEMA`] or too new.
pub(crate) fn check_sqlite(conn: &Connection) -> Result<(), Error> {
    let current = sqlite_version(conn).map_err(|e| Error::sqlite("read its schema version", e))?;
    match current {
        Some((current, min_reader)) if min_reader > SCHEMA => Err(too_new(current, min_reader)),
        Some((current, _)) if current >= SCHEMA => Ok(()),
        Some((current, _)) => Err(Error::Unfit {
            problem: format!(
                "the database has schema {current} and this program needs {SCHEMA}: `bos serve` migrates it"
            ),
        }),
        None => Err(Error::Unfit {
            problem: "the database has no tables yet: `bos serve` creates them".to_owned(),
        }),
    }
}

/// Copies the database to `*.db.bak-<schema>` beside it. The copy is written to a `.part` file and renamed, so that a crash
/// leaves either an unfinished `.part` file, which the next start deletes, or a complete copy, which it replaces.
fn back_up(conn: &Connection, path: &Path, current: i64) -> Result<(), Error> {
    let copy = path.with_extension(format!("db.bak-{current}"));
    let unfinished = path.with_extension(format!("db.bak-{current}.part"));
    let cannot = |source: std::io::Error| Error::Unfit {
        problem: format!("{} cannot be written ({})", copy.display(), source.kind()),
    };
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(error)),
        Ok(()) | Err(_) => {}
    }
    conn.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()])
        .map_err(|e| Error::sqlite("back up its file before the migration", e))?;
    std::fs::rename(&unfinished, &copy).map_err(cannot)
}

fn sqlite_version(conn: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let known: Option<i64> = conn
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'", [], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        return Ok(None);
    }
    let read = |key: &str| {
        conn.query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
    };
    Ok(read("schema")?.zip(read("min_reader")?))
}

/// The advisory lock that serializes migrations of several processes.
const MIGRATION_LOCK: i64 = 0x0b05_0001;

/// Migrates a PostgreSQL database to [`SCHEMA`], in one transaction.
pub(crate) async fn migrate_postgres(pool: &PgPool) -> Result<(), Error> {
    let refused = |e| Error::postgres("migrate its tables", e);
    let mut tx = pool.begin().await.map_err(refused)?;
    // A migration of large tables and the wait for another process's migration have no time limit. Locks on tables that the
    // service uses at the same time keep their default time-out, restored below.
    sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
    sqlx::raw_sql("SET LOCAL lock_timeout TO DEFAULT").execute(&mut *tx).await.map_err(refused)?;
    let current = version(&mut tx).await.map_err(refused)?;
    if let Some((current, min_reader)) = current
        && min_reader > SCHEMA
    {
        return Err(too_new(current, min_reader));
    }
    let from = current.map_or(0, |(current, _)| current);
    for migration in MIGRATIONS.iter().filter(|m| m.version > from) {
        sqlx::raw_sql(migration.postgres).execute(&mut *tx).await.map_err(refused)?;
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('schema', $1), ('min_reader', $2), ('migrated_at', clock_timestamp()::text) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(migration.version.to_string())
        .bind(MIN_READER.to_string())
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
    }
    tx.commit().await.map_err(refused)
}

/// The schema version and the minimum reader version; `None` before the first migration.
pub(crate) async fn postgres_version(connection: &mut PgConnection) -> Result<Option<(i64, i64)>, Error> {
    version(connection).await.map_err(|e| Error::postgres("read its schema version", e))
}

async fn version(tx: &mut PgConnection) -> sqlx::Result<Option<(i64, i64)>> {
    let known: bool =
        sqlx::query_scalar("SELECT to_regclass('meta') IS NOT NULL").fetch_one(&mut *tx).await?;
    if !known {
        return Ok(None);
    }
    sqlx::query_as(
        "SELECT (SELECT value::bigint FROM meta WHERE key = 'schema'), (SELECT value::bigint FROM meta WHERE key = 'min_reader')",
    )
    .fetch_optional(tx)
    .await
}

fn too_new(current: i64, min_reader: i64) -> Error {
    Error::Unfit {
        problem: format!(
            "the database has schema {current}, which needs a program that reads schema {min_reader}; this one reads {SCHEMA}: install a newer bos"
        ),
    }
}
