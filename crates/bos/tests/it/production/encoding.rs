//! A PostgreSQL database whose encoding is not UTF-8.

use sqlx_core::connection::Connection as _;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;

use super::started_or_left_out;
use crate::program::{Ran, bos};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_utf_8_is_refused_by_migrate_serve_and_doctor() {
    let start = || testbed::postgres::Server::start().map(Some);
    let what = "a database in another encoding";
    let Some(server) = started_or_left_out("bos-postgres", what, start).await else { return };
    let mut administrator = PgConnection::connect(&server.url()).await.unwrap();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = encoding.to_lowercase();
        let create = format!(
            "CREATE DATABASE {database} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        raw_sql(AssertSqlSafe(create)).execute(&mut administrator).await.unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{database}", server.port());
        let ran = |arguments: &[&str]| -> Ran {
            let mut command = bos(arguments);
            command.env("DATABASE_URL", &url).env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1");
            command.env("CONTENT_SERVICE_URL", "http://127.0.0.1:1").output().unwrap().into()
        };
        for command in [&["migrate", "up"][..], &["serve", "--port", "0"]] {
            let ran = ran(command);
            assert_eq!(ran.code, 2, "{command:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(encoding) && ran.stderr.contains("UTF8"), "{}", ran.stderr);
        }
        let doctor = ran(&["doctor", "-o", "jsonl"]);
        let row = doctor.stdout.lines().find(|line| line.contains("\"encoding\"")).expect("a finding");
        assert!(row.contains("failure") && row.contains(encoding), "{row}");
    }
}
