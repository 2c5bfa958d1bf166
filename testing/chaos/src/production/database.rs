//! PostgreSQL, read beside the service over a connection without a proxy.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use audit::{Audit, compare};
use invariants::Evaluation;
use sqlx_core::{
    Error as SqlError, connection::Connection as _, query::query, query_scalar::query_scalar, row::Row as _,
    sql_str::AssertSqlSafe,
};
use sqlx_postgres::{PgConnection, PgRow};
use store::Store;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::{
    canary::{Canary, Secret, Sighting},
    database::{Batch, Database, Essay, EssayPhase, KEEPS_NAMES, KEEPS_TEXTS, Key},
    essays::hash,
};

/// A session of the service that is idle in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idle {
    /// The process id of the backend, and the start of its transaction.
    pub(crate) session: (i32, String),
    /// The last statement.
    pub(crate) statement: String,
}

/// A client of the database that opens a new connection for each query, because a fault may have ended the
/// last one.
pub(crate) struct Observer {
    runtime: Runtime,
    url: String,
}

impl Observer {
    pub(crate) fn new(url: String) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        Ok(Self { runtime, url })
    }

    /// The number of shards that a process of the service holds, by its process id.
    pub(crate) fn shards_of(&self, process: u32) -> Result<i64> {
        let owner = format!("%-{process}-%");
        self.ask(async |db| {
            query_scalar("SELECT count(*) FROM leases WHERE owner LIKE $1").bind(owner).fetch_one(db).await
        })
    }

    /// The number of times that shards moved to another process.
    pub(crate) fn shard_moves(&self) -> Result<i64> {
        self.ask(async |db| query_scalar("SELECT CAST(sum(epoch) AS BIGINT) FROM leases").fetch_one(db).await)
    }

    /// The sessions of the service that are idle in a transaction for longer than 1 s.
    pub(crate) fn idle(&self) -> Result<Vec<Idle>> {
        self.ask(async |db| {
            let rows = query(
                "SELECT pid, xact_start::text, query FROM pg_stat_activity WHERE application_name = 'bos' \
                 AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '1 second'",
            );
            let idle = |row: &PgRow| {
                Ok(Idle { session: (row.try_get(0)?, row.try_get(1)?), statement: row.try_get(2)? })
            };
            rows.fetch_all(db).await?.iter().map(idle).collect()
        })
    }

    /// Ends every session of the service; returns their number.
    pub(crate) fn terminate_sessions(&self) -> Result<i64> {
        self.ask(async |db| {
            let ended = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE application_name = 'bos') AS ended";
            query_scalar(ended).fetch_one(db).await
        })
    }

    /// Moves the tables that a submission writes to another disk.
    pub(crate) fn move_tables_to(&self, folder: &Path) -> Result<()> {
        let made = format!("CREATE TABLESPACE small LOCATION '{}'", folder.display());
        self.ask(async |db| query(AssertSqlSafe(made)).execute(db).await.map(drop))?;
        for table in ["essays", "staged_texts", "timeline"] {
            let moved = format!("ALTER TABLE {table} SET TABLESPACE small");
            self.ask(async |db| query(AssertSqlSafe(moved)).execute(db).await.map(drop))?;
        }
        Ok(())
    }

    /// Inserts, for every shard, a timer that is due in 2 s for an ended batch. When it fires, nothing must
    /// change.
    pub(crate) fn put_overdue_timers(&self) -> Result<()> {
        self.ask(async |db| {
            let timers = "INSERT INTO timers (shard, batch_id, kind, run, phase, attempt, due_at) \
                          SELECT DISTINCT ON (shard) shard, batch_id, 'phase', run, 'spellcheck', 1, now() + interval '2 s' \
                          FROM batches WHERE ended_at IS NOT NULL ORDER BY shard, batch_id ON CONFLICT DO NOTHING";
            query(timers).execute(db).await.map(drop)
        })
    }

    /// Reads the tables of the stopped service; the log is left empty.
    pub(crate) fn read(&self, canary: &Canary) -> Result<Database> {
        let canary = canary.clone();
        self.ask(async |db| dump(db, &canary).await)
    }

    /// Writes every table to `folder`, one row per line, for the analysis of a failure.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' \
                      AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'outbox_sent_%'";
        let tables: Vec<String> = self.ask(async |db| query_scalar(tables).fetch_all(db).await)?;
        for table in tables {
            let sql = format!("SELECT row_to_json(t)::text FROM \"{table}\" t");
            let lines: Vec<String> =
                self.ask(async |db| query_scalar(AssertSqlSafe(sql)).fetch_all(db).await)?;
            fs::write(folder.join(table).with_extension("jsonl"), lines.join("\n"))?;
        }
        Ok(())
    }

    /// Passes the tables to an audit, and returns its evaluations.
    pub(crate) fn finish(&self, mut audit: Audit) -> Result<Vec<Evaluation>> {
        self.runtime.block_on(async {
            let store = Store::connect_postgres(&self.url, 2).await?;
            compare::read_rows(&store, &mut audit).await?;
            store.close().await;
            Ok(audit.finish())
        })
    }

    fn ask<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, SqlError>) -> Result<T> {
        let answer = self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.url).await?;
            let answer = work(&mut connection).await?;
            connection.close().await?;
            Ok::<_, SqlError>(answer)
        });
        answer.context("querying PostgreSQL")
    }
}

async fn dump(db: &mut PgConnection, canary: &Canary) -> Result<Database, SqlError> {
    let (searched, sightings) = search(db, canary).await?;
    let batches = rows(
        db,
        "SELECT batch_id, run, next_key_seq, ended_at IS NOT NULL, status = 'failed' FROM batches",
        |row| {
            Ok(Batch {
                id: row.try_get(0)?,
                run: row.try_get(1)?,
                next_key_seq: row.try_get(2)?,
                ended: row.try_get(3)?,
                failed: row.try_get(4)?,
            })
        },
    );
    let batches = batches.await?;
    let essays = rows(db, "SELECT essay_id, batch_id, client_ref FROM essays", |row| {
        Ok(Essay { id: row.try_get(0)?, batch: row.try_get(1)?, client_ref: row.try_get(2)? })
    });
    let essays = essays.await?;
    let results = rows(db, "SELECT essay_id, phase, state = 'succeeded' FROM essay_phases", |row| {
        Ok(EssayPhase { essay: row.try_get(0)?, phase: row.try_get(1)?, succeeded: row.try_get(2)? })
    });
    let results = results.await?;
    let keys = rows(db, "SELECT idem_key, batch_id, body FROM idempotency", |row| {
        let (batch, body): (Option<Uuid>, Option<Vec<u8>>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Key { key: row.try_get(0)?, batch, answer_hash: body.map(|body| hash(&body)) })
    });
    let keys = keys.await?;
    let outbox =
        rows(db, "SELECT event_id, state <> 0 FROM outbox", |row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .await?;
    let (staged_texts, dead_letters) = (count(db, "staged_texts").await?, count(db, "dead_letters").await?);
    Ok(Database {
        batches,
        essays,
        results,
        keys,
        log: Vec::new(),
        outbox,
        staged_texts,
        dead_letters,
        searched,
        sightings,
    })
}

async fn rows<T>(
    db: &mut PgConnection,
    sql: &'static str,
    read: impl Fn(&PgRow) -> Result<T, SqlError>,
) -> Result<Vec<T>, SqlError> {
    query(sql).fetch_all(db).await?.iter().map(read).collect()
}

async fn count(db: &mut PgConnection, table: &str) -> Result<usize, SqlError> {
    let rows: i64 =
        query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(db).await?;
    Ok(usize::try_from(rows).unwrap_or_default())
}

/// Searches every column of every table for the canaries. Returns the number of values, and the places where
/// a canary must not be.
async fn search(db: &mut PgConnection, canary: &Canary) -> Result<(usize, Vec<Sighting>), SqlError> {
    let columns = rows(
        db,
        "SELECT c.table_name::text, c.column_name::text, c.data_type::text FROM information_schema.columns c \
         JOIN information_schema.tables t USING (table_schema, table_name) \
         WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' \
         AND c.data_type IN ('text', 'bytea', 'jsonb') ORDER BY 1, 2",
        |row| Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?, row.try_get::<String, _>(2)?)),
    );
    let (mut searched, mut sightings) = (0, Vec::new());
    for (table, column, kind) in columns.await? {
        let holds = |secret: &str| match kind.as_str() {
            "bytea" => format!("position('{secret}'::bytea IN \"{column}\") > 0"),
            _ => format!("position('{secret}' IN \"{column}\"::text) > 0"),
        };
        let (text, name) = (holds(&canary.text), holds(&canary.name));
        let figures = format!(
            "SELECT count(\"{column}\"), count(*) FILTER (WHERE {text}), count(*) FILTER (WHERE {name}) FROM \"{table}\""
        );
        let figures = query(AssertSqlSafe(figures)).fetch_one(&mut *db).await?;
        searched += usize::try_from(figures.try_get::<i64, _>(0)?).unwrap_or_default();
        for (at, secret, home) in [(1, Secret::Text, KEEPS_TEXTS), (2, Secret::Name, KEEPS_NAMES)] {
            if table != home && figures.try_get::<i64, _>(at)? > 0 {
                sightings.push(Sighting { place: format!("PostgreSQL, {table}.{column}"), secret });
            }
        }
    }
    Ok((searched, sightings))
}
