//! Clients that do not read their answers.

use std::num::NonZeroU32;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::{Client, LARGE, PATIENCE, SHORT, Server};

const LARGE_ANSWER: &str = "GET /large HTTP/1.1\r\nHost: bos\r\n\r\n";

/// One connection, which a client that does not read loses after a moment.
async fn server() -> Server {
    Server::with(|limits, _| {
        limits.max_connections = NonZeroU32::MIN;
        limits.max_connections_per_peer = NonZeroU32::MIN;
        limits.write_timeout = SHORT;
    })
    .await
}

async fn served_next(server: &Server) {
    let mut next = server.connect().await;
    next.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    assert!(next.read_until("hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_answer_that_is_not_read_frees_its_connection() {
    let server = server().await;
    let mut silent = server.connect().await;
    silent.send(LARGE_ANSWER).await;
    served_next(&server).await;
    drop(silent);
}

#[tokio::test]
async fn pipelined_requests_whose_answers_are_not_read_free_their_connection() {
    let server = server().await;
    let mut silent = server.connect().await;
    silent.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n".repeat(500) + &LARGE_ANSWER.repeat(20)).await;
    served_next(&server).await;
    drop(silent);
}

#[tokio::test]
async fn a_client_that_reads_gets_a_large_answer_whole() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(LARGE_ANSWER.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let Client(stream) = &mut client;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the answer ends").unwrap();
    assert!(answer.len() > LARGE, "{}", answer.len());
}
