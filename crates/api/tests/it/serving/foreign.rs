//! Requests that a browser makes for a page of another origin, on the raw socket.

use std::net::{IpAddr, Ipv4Addr};

use ::api::Origins;

use super::Server;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn server() -> Server {
    Server::checking(Origins::new(LOOPBACK, true, &[])).await
}

#[tokio::test]
async fn a_request_for_a_foreign_host_is_403_on_every_route() {
    let server = server().await;
    for target in ["/", "/wait", "/nowhere", "/problems/foreign_host", "http://localhost/"] {
        let mut client = server.connect().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: rebound.example:5000\r\n\r\n")).await;
        let answer = client.read_until("}").await;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("\"foreign_host\""),
            "{target}: {answer}"
        );
        assert!(answer.contains("x-correlation-id: ") && answer.contains("nosniff"), "{answer}");
    }
    let mut client = server.connect().await;
    client.send("GET http://rebound.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.read_until("}").await.starts_with("HTTP/1.1 403"));
    for own in ["localhost:5000", "127.0.0.1", "[::1]:1"] {
        let mut client = server.connect().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {own}\r\n\r\n")).await;
        assert!(client.read_until("hello").await.starts_with("HTTP/1.1 200"), "{own}");
    }
    let mut old = server.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.read_to_close().await.ends_with("hello"), "HTTP/1.0 without a host");
}

#[tokio::test]
async fn a_post_of_a_foreign_page_is_403_and_its_body_is_not_read() {
    let server = server().await;
    for page in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let mut client = server.connect().await;
        client
            .send(format!(
                "POST /count HTTP/1.1\r\nHost: localhost\r\n{page}\r\nContent-Type: text/plain\r\n"
            ))
            .await;
        client.send("Content-Length: 1000000\r\n\r\n").await;
        let answer = client.read_to_close().await;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("\"foreign_origin\""),
            "{page}: {answer}"
        );
    }
    let mut own = server.connect().await;
    own.send("POST /count HTTP/1.1\r\nHost: localhost\r\nOrigin: http://127.0.0.1:3000\r\n").await;
    own.send("Content-Length: 5\r\n\r\nhello").await;
    assert!(own.read_until("\r\n\r\n5").await.starts_with("HTTP/1.1 200"), "a page of this machine");
}
