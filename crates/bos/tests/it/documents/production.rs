//! The commands for PostgreSQL and Kafka, on real servers.

use tokio::sync::Mutex;

use super::shell::Shell;
use super::under;
use crate::databases::on_postgres;
use crate::production::{ONE_AT_A_TIME, kafka};
use crate::program::Server;

/// A shell whose PostgreSQL and Kafka are these.
fn shell(database: &str, kafka: &str) -> Option<Shell> {
    let mut shell = Shell::new()?;
    shell.set("TEST_DATABASE", database);
    shell.set("TEST_KAFKA", kafka);
    Some(shell)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_postgresql_and_kafka_run_as_they_are_printed() {
    let Some(kafka) = kafka() else { return };
    let _alone = Mutex::lock(&ONE_AT_A_TIME).await;
    on_postgres(async |_, url| {
        let Some(shell) = shell(&url, &kafka) else { return };
        for block in under("README.md", "Run it on PostgreSQL and Kafka") {
            shell.run(&block);
        }
    })
    .await;
}

/// The target is named by `--to`, `--kafka` and `--content` alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_a_promotion_run_as_they_are_printed() {
    let Some(kafka) = kafka() else { return };
    let _alone = Mutex::lock(&ONE_AT_A_TIME).await;
    on_postgres(async |_, url| {
        let Some(shell) = shell(&url, &kafka) else { return };
        let mut server = Server::on(&shell.data(), &[]);
        let essays = server.essays("essays", &[("anna.txt", "I recieve mail.\n")]);
        let ran = server.run(&["batch", "submit", &essays, "--wait", "--timeout", "1m"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        server.terminate();
        assert!(server.ended().success());
        // The Content Service that the page takes for granted.
        let companions = format!("KAFKA_BOOTSTRAP_SERVERS={kafka} bos companions --data-dir companions");
        shell.execute(&companions, "the Content Service");
        for block in under("docs/operations.md", "From the laptop to production") {
            shell.run(&block);
        }
        let list = shell.execute(&format!("DATABASE_URL={url} bos batch list -o json"), "the list");
        assert!(list.contains("completed_successfully"), "{list}");
    })
    .await;
}
