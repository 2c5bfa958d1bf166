use std::path::Path;
use std::time::Instant;

use super::Client;
use crate::program::{PATIENCE, Server};

/// The words of a shell that runs the program with its log in a pipe that is full and that no process reads.
const UNREAD: &str = "mkfifo log && exec 3<>log && head -c 65536 /dev/zero >&3 && exec \"$0\" \"$@\" 2>log";

#[tokio::test]
async fn a_log_that_is_not_read_holds_up_neither_requests_nor_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = testbed::bos::command(Path::new("/bin/sh"), folder.path());
    shell.args(["-c", UNREAD, env!("CARGO_BIN_EXE_bos")]);
    let mut server = Server::launch(shell, &folder.path().join("data"), &[], &[], None);
    let client = Client::of(&server);
    let batch = client.accepted("unread").await;
    for _ in 0..200 {
        assert_eq!(client.get("/healthz").await.status, 200);
    }
    client.until(&batch, "ready").await;
    server.terminate();
    assert!(server.ended().success());
}

#[tokio::test]
async fn a_flood_of_refused_requests_is_summed_up_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::logging(&folder.path().join("data"), &[], &log);
    let client = Client::of(&server);
    let text = || std::fs::read_to_string(&log).unwrap();
    let began = Instant::now();
    while !text().contains("left out lines of one kind") {
        for _ in 0..500 {
            assert_eq!(client.get("/nothing").await.status, 404);
        }
        assert!(began.elapsed() < PATIENCE, "the log does not say what it left out");
    }
    let seconds = began.elapsed().as_secs() + 2;
    let refused = |line: &&str| line.contains("\"answered\"") && line.contains("404");
    let lines = text().lines().filter(refused).count();
    assert!(lines as u64 <= 100 * seconds, "{lines} lines in {seconds} s");
}
