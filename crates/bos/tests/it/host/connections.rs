use std::time::Duration;

use telemetry::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Client;
use crate::program::{PATIENCE, Server, plain_batch};

/// Sends a request on a kept connection; the status code of the answer.
async fn ask(stream: &mut TcpStream, request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let whole = async {
        loop {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the connection was closed");
            let text = String::from_utf8_lossy(&read).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    };
    timeout(PATIENCE, whole).await.expect("the server answers")
}

fn post(name: &str) -> String {
    let body = plain_batch(name, 2).to_string();
    format!(
        "POST /v1/batch HTTP/1.1\r\nHost: bos\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_connections_than_the_limit_of_open_files_do_not_stop_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_few_files(&folder.path().join("data"), 128);
    let mut kept = TcpStream::connect(server.socket()).await.unwrap();
    assert_eq!(ask(&mut kept, &post("before")).await, 202);

    let crowd = Tasks::new();
    for _ in 0..500 {
        let (address, leave) = (server.socket(), crowd.stop_signal());
        crowd.spawn("one of a crowd", async move {
            let stay = async {
                let mut one = TcpStream::connect(address).await.unwrap();
                one.write_all(b"GET /healthz HTTP/1.1\r\nHost: bos\r\n").await.unwrap();
                std::future::pending::<()>().await;
            };
            leave.run_until_cancelled(stay).await;
        });
    }
    let full = async {
        while server.open_sockets().unwrap() < 64 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.expect("the connections are open");
    for turn in 0..10 {
        assert_eq!(ask(&mut kept, &post(&format!("amid the crowd, {turn}"))).await, 202);
        assert_eq!(ask(&mut kept, "GET /v1/batch?limit=5 HTTP/1.1\r\nHost: bos\r\n\r\n").await, 200);
        assert_eq!(ask(&mut kept, "GET /readyz HTTP/1.1\r\nHost: bos\r\n\r\n").await, 200);
    }

    assert!(crowd.shutdown(PATIENCE).await.is_empty());
    let fresh = timeout(Duration::from_secs(5), Client::of(&server).accepted("after the crowd")).await;
    assert!(fresh.is_ok(), "a new connection is served after the others are closed");
}
