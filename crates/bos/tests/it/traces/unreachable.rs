//! A collector that is not running, or that accepts connections and never answers.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::host::Client;
use crate::program::Server;

/// Submits batches, stops the service, and returns its log.
async fn served(endpoint: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let endpoint = format!("otel_exporter_otlp_endpoint={endpoint}");
    let mut server = Server::logging(&folder.path().join("data"), &[&endpoint, "log_format=text"], &log);
    let client = Client::of(&server);
    let mut slowest = Duration::ZERO;
    let mut batches = Vec::new();
    for number in 0..50 {
        let began = Instant::now();
        batches.push(client.accepted(&format!("class {number}")).await);
        slowest = slowest.max(began.elapsed());
    }
    for batch in &batches {
        client.until(batch, "ready").await;
    }
    // An export to the collector may take 5 s.
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    let began = Instant::now();
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    std::fs::read_to_string(log).unwrap()
}

fn lines(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_collector_delays_no_request_and_is_logged_once() {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", door.local_addr().unwrap());
    drop(door);
    let log = served(&endpoint).await;
    assert_eq!(lines(&log, "the trace collector cannot be used"), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_delays_no_request_and_no_stop() {
    // The system accepts connections, and no program reads from them.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let log = served(&format!("http://{}", door.local_addr().unwrap())).await;
    assert!(lines(&log, "the trace collector cannot be used") <= 1, "{log}");
}
