//! A PostgreSQL that refuses the service's login for a while, and secrets that are rotated without a restart.

use sqlx_core::connection::Connection as _;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use testbed::postgres;
use tokio::time::timeout;

use super::{migrated, started_or_left_out};
use crate::host::Client;
use crate::neighbour::service::Service;
use crate::program::{PATIENCE, plain_batch, write_secret};

/// A server of its own, because the tests change who may log in.
struct Installation {
    server: postgres::Server,
    administrator: PgConnection,
}

impl Installation {
    /// A database `bos` with its tables, and the roles `one` and `two`; `None` if there are no programs of PostgreSQL.
    async fn start() -> Option<Self> {
        let start = || postgres::Server::start().map(Some);
        let server = started_or_left_out("bos-postgres", "a PostgreSQL that refuses logins", start).await?;
        let administrator = PgConnection::connect(&server.url()).await.unwrap();
        let mut installation = Self { server, administrator };
        installation.run("CREATE DATABASE bos").await;
        migrated(&installation.url("postgres")).await;
        for role in ["one", "two"] {
            installation.run(&format!("CREATE ROLE {role} LOGIN SUPERUSER")).await;
        }
        Some(installation)
    }

    fn url(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/bos", self.server.port())
    }

    async fn run(&mut self, statement: &str) {
        raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.administrator).await.unwrap();
    }

    /// Ends every session with the database, so that the service has to log in again.
    async fn end_sessions(&mut self) {
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bos'").await;
    }
}

/// A service whose bus and Content Service are away.
async fn service(settings: &[(&str, &str)]) -> Service {
    let own = [("kafka_bootstrap_servers", "127.0.0.1:1")];
    Service::start("http://127.0.0.1:1/v1/content".to_owned(), &[&own[..], settings].concat()).await
}

async fn until_accepted(client: &Client) {
    let accepted = async { while client.submit(&plain_batch("again", 1)).await.status != 202 {} };
    timeout(PATIENCE, accepted).await.expect("the service continues without a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_login_is_refused_callers_get_503_and_the_service_continues_once_it_is_allowed() {
    let Some(mut postgres) = Installation::start().await else { return };
    let service = service(&[("database_url", &postgres.url("one"))]).await;
    let client = Client::at(service.base());
    let refusals = [
        ("ALTER ROLE one NOLOGIN", "ALTER ROLE one LOGIN", "database_login_refused"),
        (
            "ALTER DATABASE bos ALLOW_CONNECTIONS false",
            "ALTER DATABASE bos ALLOW_CONNECTIONS true",
            "database_login_refused",
        ),
        ("ALTER ROLE one RENAME TO three", "ALTER ROLE three RENAME TO one", "database_login_refused"),
        (
            "ALTER ROLE one NOSUPERUSER CONNECTION LIMIT 0",
            "ALTER ROLE one SUPERUSER CONNECTION LIMIT -1",
            "database_connections_exhausted",
        ),
    ];
    for (refuse, allow, code) in refusals {
        client.accepted("before").await;
        postgres.run(refuse).await;
        postgres.end_sessions().await;
        for _ in 0..3 {
            let answer = client.submit(&plain_batch("refused", 1)).await;
            assert_eq!((answer.status, answer.asks_to_wait), (503, true), "{refuse}: {}", answer.body);
            assert_eq!(answer.body["code"], "unavailable", "{refuse}");
            assert_eq!(answer.body["retryable"], true, "{refuse}");
        }
        let ready = client.get("/readyz").await;
        assert_eq!((ready.status, &ready.body["store"]), (503, &"unavailable".into()), "{}", ready.body);
        let degraded = ready.body["degraded"].as_array().unwrap();
        assert!(degraded.iter().any(|one| one["code"] == code), "{refuse}: {}", ready.body);
        assert_eq!(client.get("/healthz").await.status, 200);

        postgres.run(allow).await;
        until_accepted(&client).await;
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_url_that_is_rotated_in_its_file_is_used_without_a_restart_once_the_old_one_is_refused() {
    let Some(mut postgres) = Installation::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    write_secret(&file, &postgres.url("one"));
    let service = service(&[("database_url_file", file.to_str().unwrap())]).await;
    let client = Client::at(service.base());
    client.accepted("before").await;

    postgres.run("ALTER ROLE one NOLOGIN").await;
    write_secret(&file, &postgres.url("two"));
    postgres.end_sessions().await;
    until_accepted(&client).await;
    // Every later request is served, because the first refusal has changed the URL for all connections.
    let crowd = futures::future::join_all((0..24).map(|_| client.accepted("after"))).await;
    client.shows(&crowd).await;
    service.stop().await;
}
