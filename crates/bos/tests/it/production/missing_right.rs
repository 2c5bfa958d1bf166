//! A PostgreSQL that refuses statements for a while, for a reason that no message is to blame for.

use serde_json::Value;
use service::companions::CompanionBehaviour;
use sqlx_core::connection::Connection as _;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio::time::timeout;

use super::kafka;
use super::operators::Shell;
use super::road::{Companions, ONE_AT_A_TIME, class, ended, service};
use crate::databases::on_postgres;
use crate::neighbour::service::Service;
use crate::program::PATIENCE;

/// Classes in progress while a right is missing.
const CLASSES: usize = 3;

/// A role that may read and write the tables, and the session of an administrator.
struct Role {
    name: String,
    url: String,
    administrator: PgConnection,
}

impl Role {
    async fn create(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, address) = rest.rsplit_once('@').unwrap();
        let database = address.rsplit('/').next().unwrap().trim_end_matches('?');
        let name = format!("role_{database}");
        let administrator = PgConnection::connect(url).await.unwrap();
        let url = format!("{scheme}://{name}:secret@{address}");
        let mut role = Self { name: name.clone(), url, administrator };
        role.administer(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'")).await;
        role.administer(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")).await;
        role
    }

    async fn administer(&mut self, statement: &str) {
        raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.administrator).await.unwrap();
    }

    async fn drop(mut self) {
        let Self { name, .. } = &self;
        let statements = format!("DROP OWNED BY {name}; DROP ROLE {name}");
        self.administer(&statements).await;
    }
}

/// Waits until `/readyz` names the database with this code; the whole document.
async fn until_degraded(service: &Service, code: &str) -> Value {
    let named = async {
        loop {
            let ready = service.get("/readyz").await;
            let degraded = ready["degraded"].as_array().unwrap();
            if degraded.iter().any(|one| one["name"] == "database" && one["code"] == code) {
                return ready;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, named).await.unwrap_or_else(|_| panic!("/readyz never names {code}"))
}

/// The right to write each of these tables is needed only to apply what other services report.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_right_is_missing_messages_wait_and_once_it_is_granted_all_classes_end() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let mut role = Role::create(&url).await;
        let companions =
            Companions::start(&kafka, CompanionBehaviour { instant: true, ..CompanionBehaviour::default() })
                .await;
        let service = service(&kafka, &companions.content, &role.url).await;
        let shell = Shell { database: &role.url.clone(), kafka: &kafka, content: &companions.content };
        for table in ["inbox", "essay_phases"] {
            let name = role.name.clone();
            role.administer(&format!("REVOKE INSERT, UPDATE ON {table} FROM {name}")).await;
            let mut batches = Vec::new();
            for _ in 0..CLASSES {
                batches.push(service.hand_in(&class(3, &["spellcheck", "nlp"])).await);
            }
            let ready = until_degraded(&service, "database_right_missing").await;
            assert_eq!(ready["status"], "ready", "requests that need no such right are served: {ready}");
            let doctor = tokio::task::block_in_place(|| shell.rows(&["doctor"]));
            let rights = doctor.iter().find(|row| row["check"] == "rights").unwrap();
            assert_eq!(rights["state"], "failure", "{rights}");
            assert!(rights["found"].as_str().unwrap().contains(table), "{rights}");

            role.administer(&format!("GRANT INSERT, UPDATE ON {table} TO {name}")).await;
            for batch in &batches {
                let status = ended(&service, batch).await;
                assert_eq!(status["status"], "completed_successfully", "{status}");
            }
            let letters = store.read(|tx| Box::pin(async move { tx.dead_letters(None, 10).await })).await;
            assert_eq!(letters.map_err(|error: store::Error| error).unwrap(), [], "nothing is set aside");
        }
        service.stop().await;
        companions.stop().await;
        role.drop().await;
    })
    .await;
}
