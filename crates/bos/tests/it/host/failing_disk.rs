//! A disk of the embedded database that fails, is full or read-only for a while.

use std::fs;

use testbed::failing_disk::{FailingDisk, Fault};
use tokio::time::timeout;

use super::{Client, id_of};
use crate::program::{PATIENCE, Server, plain_batch, run};

/// A server whose database files are on a disk that can fail; `None` on systems without one.
fn server(disk: &FailingDisk, folder: &tempfile::TempDir) -> Server {
    let variables: Vec<(&str, &str)> =
        disk.variables().into_iter().map(|(name, value)| (name, value.to_str().unwrap())).collect();
    Server::told_and_logging(&folder.path().join("data"), &variables, &folder.path().join("log"))
}

fn disk() -> Option<FailingDisk> {
    let disk = FailingDisk::make("/data/bos.db").unwrap();
    if disk.is_none() {
        testbed::left_out("failing-disk", "a disk that fails: supported only on Linux");
    }
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_fails_requests_wait_and_no_message_calls_the_database_damaged() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = server(&disk, &folder);
    let client = Client::of(&server);
    let mut acknowledged = vec![client.accepted("before").await];
    let faults = [
        (None, Some(Fault::Io)),
        (Some(Fault::Io), Some(Fault::Io)),
        (None, Some(Fault::ReadOnly)),
        (None, Some(Fault::Full)),
    ];
    for (reads, writes) in faults {
        let fault = format!("reads {reads:?}, writes {writes:?}");
        disk.set(reads, writes).unwrap();
        for _ in 0..3 {
            let answer = client.submit(&plain_batch("meanwhile", 3)).await;
            assert_eq!((answer.status, answer.asks_to_wait), (503, true), "{fault}: {}", answer.body);
            assert_eq!(answer.body["retryable"], true, "{fault}");
            let read = client.get(&format!("/v1/batch/{}", acknowledged[0])).await;
            assert!([200, 503].contains(&read.status), "{fault}: {}", read.body);
        }
        let ready = client.get("/readyz").await;
        assert_eq!(ready.status, 503, "{fault}: {}", ready.body);
        assert_ne!(ready.body["store"], "ok", "{fault}: {}", ready.body);
        assert_eq!(client.get("/healthz").await.status, 200, "{fault}");

        disk.set(None, None).unwrap();
        let again = async {
            loop {
                let answer = client.submit(&plain_batch("after", 1)).await;
                if answer.status == 202 {
                    return id_of(&answer.body);
                }
                assert_eq!(answer.status, 503, "{fault}: {}", answer.body);
            }
        };
        acknowledged.push(timeout(PATIENCE, again).await.expect("it continues without a restart"));
        client.shows(&acknowledged).await;
        let ready = async { while client.get("/readyz").await.status != 200 {} };
        timeout(PATIENCE, ready).await.expect("readiness returns");
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("damaged") && !log.contains("delete"), "{log}");
    drop(server);
}

#[test]
fn at_the_start_a_failing_disk_is_not_called_damaged_and_a_malformed_file_is_not_to_be_deleted() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(&disk, &folder);
    server.terminate();
    assert!(server.ended().success(), "its write-ahead log is in the file then");
    let data = folder.path().join("data");
    let serve = || {
        let mut command =
            crate::program::bos(&["serve", "--port", "0", "--data-dir", data.to_str().unwrap()]);
        String::from_utf8(command.envs(disk.variables()).output().unwrap().stderr).unwrap()
    };
    disk.set(Some(Fault::Io), Some(Fault::Io)).unwrap();
    let said = serve();
    assert!(said.contains("I/O") && !said.contains("damaged"), "{said}");
    let mut doctor =
        crate::program::bos(&["doctor", "-o", "jsonl", "--port", "1", "--data-dir", data.to_str().unwrap()]);
    let found = String::from_utf8(doctor.envs(disk.variables()).output().unwrap().stdout).unwrap();
    let found = found.lines().find(|line| line.contains("\"database\"")).expect("a finding");
    assert!(
        found.contains("I/O") && found.contains("change nothing") && !found.contains("damaged"),
        "{found}"
    );
    disk.set(None, None).unwrap();

    let file = data.join("bos.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[..4096].fill(b'x');
    fs::write(&file, bytes).unwrap();
    let ran = run(&["serve", "--port", "0", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("damaged") && ran.stderr.contains("keep a copy"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("delete") && !ran.stderr.contains("empty data folder"), "{}", ran.stderr);
}
