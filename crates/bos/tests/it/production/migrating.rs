//! Two processes migrate the tables in PostgreSQL at the same time, and one of them is killed.

use std::process::{Child, Stdio};

use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio::time::timeout;

use super::kafka;
use crate::databases::on_postgres;
use crate::host::Client;
use crate::program::{PATIENCE, Ran, Server, bos};

/// The advisory lock that stops a migration within its transaction.
const GATE: i64 = 0x6a7e;

/// Empties the database, creates the tables of the first version, and puts the gate before the update of the schema version.
async fn first_version(witness: &mut PgConnection) {
    let base = include_str!("../../../../store/migrations/postgres/0001_base.sql");
    let text = format!(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; {base} \
         INSERT INTO meta VALUES ('schema', '1'), ('min_reader', '1'); \
         CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 \
         AS $$ BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NEW; END $$; \
         CREATE TRIGGER gate BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION gate(); \
         SELECT pg_advisory_lock({GATE})"
    );
    raw_sql(AssertSqlSafe(text)).execute(witness).await.unwrap();
}

fn migration(url: &str) -> Child {
    let mut command = bos(&["migrate", "up"]);
    command.env("DATABASE_URL", url).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until one session has waited this long for an advisory lock: the gate, or the lock of the migrations.
async fn until_waiting(witness: &mut PgConnection, at_the_gate: bool, milliseconds: i32) {
    let waiting = async {
        loop {
            let waiting: i64 = query_scalar(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND (objid = $1::oid) = $2 \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                 AND waitstart <= clock_timestamp() - $3 * interval '1 ms'",
            )
            .bind(GATE)
            .bind(at_the_gate)
            .bind(milliseconds)
            .fetch_one(&mut *witness)
            .await
            .unwrap();
            if waiting == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("a migration waits there");
}

async fn schema(witness: &mut PgConnection) -> String {
    query_scalar("SELECT value FROM meta WHERE key = 'schema'").fetch_one(witness).await.unwrap()
}

/// F13.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_another_one_and_does_all_of_it_when_the_other_is_killed() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        let mut witness = PgConnection::connect(&url).await.unwrap();
        first_version(&mut witness).await;
        let mut killed = migration(&url);
        until_waiting(&mut witness, true, 0).await;
        let other = migration(&url);
        // Longer than any other statement waits for a lock, because large tables take long to migrate.
        until_waiting(&mut witness, false, 2_500).await;

        killed.kill().unwrap();
        killed.wait().unwrap();
        assert_eq!(schema(&mut witness).await, "1", "nothing of the killed migration is visible");
        query("SELECT pg_advisory_unlock($1)").bind(GATE).execute(&mut witness).await.unwrap();
        let other = tokio::task::spawn_blocking(|| Ran::from(other.wait_with_output().unwrap()));
        let other = timeout(PATIENCE, other).await.expect("the other migration ends").unwrap();
        assert_eq!(other.code, 0, "{}", other.stderr);
        assert_eq!(schema(&mut witness).await, store::SCHEMA.to_string());

        raw_sql("DROP TRIGGER gate ON meta; DROP FUNCTION gate").execute(&mut witness).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let told = [
            ("DATABASE_URL", &*url),
            ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
            ("CONTENT_SERVICE_URL", "http://127.0.0.1:1/v1/content"),
        ];
        let server = Server::told(&folder.path().join("data"), &[], &told);
        Client::of(&server).accepted("after").await;
    })
    .await;
}
