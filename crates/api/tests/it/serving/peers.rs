//! Many connections of one peer.

use std::num::NonZeroU32;

use tokio::io::AsyncWriteExt as _;

use super::{PATIENCE, Server, timeout};

#[tokio::test]
async fn connections_over_the_limit_of_a_peer_are_answered_at_once_with_503() {
    let server =
        Server::with(|limits, _| limits.max_connections_per_peer = NonZeroU32::new(2).unwrap()).await;
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    timeout(PATIENCE, server.app.arrived.notified()).await.unwrap();
    let mut kept = server.connect().await;
    kept.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    kept.read_until("hello").await;

    for request in ["", "GET / HTTP/1.1\r\nHost: bos\r\n\r\n"] {
        let mut third = server.connect().await;
        // The answer may be there, and the connection closed, before the request is sent.
        let _ = third.0.write_all(request.as_bytes()).await;
        let answer = third.read_to_close().await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(head.contains("\r\nRetry-After: 1") && head.contains("\r\nConnection: close"), "{answer}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["code"], &problem["retryable"]), (&"too_many_connections".into(), &true.into()));
    }
    kept.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    assert!(kept.read_until("hello").await.starts_with("HTTP/1.1 200"), "open connections are still served");

    server.app.go_on.notify_one();
    busy.read_until("done").await;
    drop(busy);
    let freed = async {
        loop {
            let mut next = server.connect().await;
            let _ = next.0.write_all(b"GET / HTTP/1.1\r\nHost: bos\r\nConnection: close\r\n\r\n").await;
            if next.read_to_close().await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    timeout(PATIENCE, freed).await.expect("a closed connection frees its place");
}
