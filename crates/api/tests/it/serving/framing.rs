//! The framing of requests, on the raw socket.

use std::num::NonZeroU32;

use futures::future::join_all;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{PATIENCE, SHORT, Server, post_of};

#[tokio::test]
async fn headers_too_large_or_too_many_are_431() {
    let server = Server::start().await;
    let mut large = server.connect().await;
    large.send(format!("GET / HTTP/1.1\r\nHost: bos\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024))).await;
    assert!(large.read_to_close().await.starts_with("HTTP/1.1 431"));
    let mut many = server.connect().await;
    many.send(format!("GET / HTTP/1.1\r\nHost: bos\r\n{}\r\n", "X: y\r\n".repeat(200))).await;
    assert!(many.read_to_close().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn smuggled_lengths_are_refused_and_the_connection_closed() {
    let server = Server::start().await;
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked, identity",
        "Content-Length: x",
        "Host : bos\r\nContent-Length: 0",
        "X: a\r\n folded",
        "Idempotency-Key: a\r\n b",
        "Idempotency-Key: a\rb",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 5, 6",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding : chunked",
    ] {
        let mut client = server.connect().await;
        client.send(post_of("/count", headers)).await;
        client.send("hello").await;
        let answers = client.read_to_close().await;
        assert!(answers.starts_with("HTTP/1.1 400"), "{headers}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{headers}: {answers}");
    }
}

/// The server uses the chunks; a proxy that used the length finds no second answer on the connection.
#[tokio::test]
async fn nothing_is_smuggled_behind_a_chunked_body_with_a_content_length() {
    let server = Server::start().await;
    let smuggled = "0\r\n\r\nGET / HTTP/1.1\r\nHost: bos\r\n\r\n";
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 44\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let mut client = server.connect().await;
        client.send(post_of("/count", headers) + smuggled).await;
        let answers = client.read_to_close().await;
        assert!(answers.contains("connection: close") && answers.ends_with("\r\n\r\n0"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{headers}: {answers}");
    }
}

#[tokio::test]
async fn bytes_after_the_declared_length_are_not_part_of_the_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Content-Length: 5") + "hello and more\r\n\r\n").await;
    let answers = client.read_to_close().await;
    assert!(answers.starts_with("HTTP/1.1 200") && answers.contains("\r\n\r\n5"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400"), "the rest is a bad request of its own: {answers}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let one = |body: &str| post_of("/count", &format!("Content-Length: {}", body.len())) + body;
    client.send(one("a") + &one("bb") + &one("ccc") + "GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    let answers = client.read_until("hello").await;
    let bodies: Vec<&str> = answers.split("\r\n\r\n").skip(1).map(|rest| &rest[..1]).collect();
    assert_eq!(bodies, ["1", "2", "3", "h"], "{answers}");
}

#[tokio::test]
async fn a_client_that_has_closed_its_writing_side_is_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Content-Length: 5") + "hello").await;
    client.0.shutdown().await.unwrap();
    assert!(client.read_to_close().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_request_of_http_1_1_has_exactly_one_valid_host() {
    let server = Server::start().await;
    for headers in [
        "X: y",
        "Host: bos\r\nHost: bos",
        "Host: bos\r\nHost: other",
        "Host: bos:port",
        "Host: user@bos",
        "Host: bos/path",
        "Host: b os",
    ] {
        let mut client = server.connect().await;
        client.send(format!("GET / HTTP/1.1\r\n{headers}\r\n\r\nGET / HTTP/1.1\r\nHost: bos\r\n\r\n")).await;
        let answers = client.read_to_close().await;
        assert!(
            answers.starts_with("HTTP/1.1 400") && answers.contains("invalid_host"),
            "{headers}: {answers}"
        );
        assert!(!answers.contains("HTTP/1.1 200"), "the connection is closed: {answers}");
    }
    let mut old = server.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = old.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("hello"), "{answer}");
    for host in ["bos", "bos:80", "[::1]:5000", "127.0.0.1", ""] {
        let mut client = server.connect().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(client.read_until("hello").await.starts_with("HTTP/1.1 200"), "{host}");
    }
}

#[tokio::test]
async fn five_hundred_slow_headers_and_as_many_idle_connections_are_all_closed() {
    let server = Server::with(|limits, _| {
        limits.header_timeout = 5 * SHORT;
        limits.max_connections = NonZeroU32::new(1_100).unwrap();
        limits.max_connections_per_peer = limits.max_connections;
    })
    .await;
    let clients = join_all((0..1_000).map(async |number| {
        let mut client = server.connect().await;
        let end = if number % 2 == 0 { "" } else { "\r\n\r\n" };
        // On a slow machine the server may have closed the connection already.
        let _ = client.0.write_all(format!("GET / HTTP/1.1\r\nHost: bos{end}").as_bytes()).await;
        client
    }));
    for mut client in clients.await {
        let ended = timeout(PATIENCE, client.0.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it is still open");
    }
    let mut fresh = server.connect().await;
    fresh.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    assert!(fresh.read_until("hello").await.starts_with("HTTP/1.1 200"));
}
