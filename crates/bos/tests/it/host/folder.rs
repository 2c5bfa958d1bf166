use std::path::Path;
use std::process::Command;

use super::Client;
use crate::program::{Server, run};

/// The variable that names the database for the visiting process.
const VISITED: &str = "BOS_TEST_VISITED";

#[tokio::test]
async fn a_second_service_on_the_same_folder_is_refused_and_the_first_continues() {
    let server = Server::start();
    let client = Client::of(&server);
    client.accepted("before").await;
    let second = run(&["serve", "--port", "0", "--data-dir", server.data().to_str().unwrap()]);
    assert_eq!(second.code, 2, "{}", second.stderr);
    let told = "bos.db is in use by another bos process; stop it, or choose another data folder";
    assert!(second.stderr.contains(told), "{}", second.stderr);
    assert!(second.stdout.is_empty(), "no banner without a service");
    client.accepted("after").await;
}

/// The visiting process of the next test. Without the variable it does nothing.
#[test]
fn visitor() {
    let Some(path) = std::env::var_os(VISITED) else { return };
    let connection = rusqlite::Connection::open(path).unwrap();
    let batches: i64 = connection.query_row("SELECT count(*) FROM batches", [], |row| row.get(0)).unwrap();
    assert_eq!(batches, 1);
}

#[tokio::test]
async fn another_process_that_reads_the_database_and_a_kill_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let client = Client::of(&server);
    let before = client.accepted("before").await;
    let visit = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "host::folder::visitor"])
        .env(VISITED, data.join("bos.db"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&visit.stdout);
    assert!(visit.status.success() && said.contains("1 passed"), "{said}");
    let after = client.accepted("after").await;

    server.kill();
    let server = Server::on(&data, &[]);
    let client = Client::of(&server);
    client.shows(&[before.clone(), after.clone()]).await;
    client.until(&before, "ready").await;
    client.until(&after, "ready").await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_reported_with_the_next_step() {
    // Not even root can create files there.
    for folder in ["/proc", "/proc/bos-data"] {
        assert!(!Path::new(folder).join("bos.db").exists());
        let ran = run(&["serve", "--port", "0", "--data-dir", folder]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(folder) && ran.stderr.contains("choose"), "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_moved_database_stops_the_service_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::on(&data, &[]);
    let before = Client::of(&server).accepted("before").await;
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&data, &elsewhere).unwrap();
    assert_eq!(server.ended().code(), Some(1));

    let server = Server::on(&elsewhere, &[]);
    let client = Client::of(&server);
    client.shows(std::slice::from_ref(&before)).await;
    client.until(&before, "ready").await;
}
