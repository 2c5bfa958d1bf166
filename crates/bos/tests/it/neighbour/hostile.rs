//! A Content Service on raw sockets, which can send answers that no HTTP library would send.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use telemetry::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::program::PATIENCE;

/// How the service answers uploads. Downloads are always answered correctly.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// Follows the contract.
    Good,
    /// Sends these bytes.
    Says(Vec<u8>),
    /// Never answers.
    Hangs,
    /// Sends a correct answer, one byte every 50 ms.
    Drips,
    /// Sends bytes after this header for as long as the client reads them.
    Floods(&'static str),
    /// Stores the text, and resets the connection before the answer.
    StoresAndResets,
    /// Refuses texts that contain the word, and stores the others.
    Picky { word: &'static str, status: &'static str },
}

/// Sends a complete HTTP answer.
pub(super) fn reply(status: &str, headers: &str, body: &str) -> Manner {
    Manner::Says(answer(status, headers, body.as_bytes()))
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[derive(Debug)]
struct State {
    manner: Manner,
    texts: BTreeMap<String, Vec<u8>>,
    /// The time of each upload.
    asked: Vec<Instant>,
    heads: String,
    most_sent: u64,
}

pub(super) struct Hostile {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    asked: watch::Sender<usize>,
    tasks: Tasks,
}

/// An address on which no process listens, reserved so that no other process can.
pub(super) struct NotListening(TcpSocket);

impl NotListening {
    pub(super) fn url(&self) -> String {
        format!("http://{}/v1/content", self.0.local_addr().unwrap())
    }

    pub(super) fn listen(self) -> Hostile {
        Hostile::on(self.0.listen(1024).unwrap(), Manner::Good)
    }
}

impl Hostile {
    pub(super) fn not_listening() -> NotListening {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        NotListening(socket)
    }

    pub(super) async fn start(manner: Manner) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let state =
            State { manner, texts: BTreeMap::new(), asked: Vec::new(), heads: String::new(), most_sent: 0 };
        let hostile = Self {
            address,
            state: Arc::new(Mutex::new(state)),
            asked: watch::Sender::new(0),
            tasks: Tasks::new(),
        };
        let (state, asked, tasks) =
            (Arc::clone(&hostile.state), hostile.asked.clone(), hostile.tasks.clone());
        hostile.tasks.spawn("content", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, asked) = (Arc::clone(&state), asked.clone());
                tasks.spawn("content connection", async move {
                    // A client may disconnect at any time.
                    let _ = serve(stream, &state, &asked).await;
                });
            }
        });
        hostile
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1/content", self.address)
    }

    /// Changes how later uploads are answered.
    pub(super) fn turns(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// Waits until there were this many uploads.
    pub(super) async fn asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let enough = timeout(PATIENCE, asked.wait_for(|count| *count >= times)).await;
        enough.unwrap_or_else(|_| panic!("not asked {times} times")).unwrap();
    }

    pub(super) fn times_asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    /// The time between the first and the second upload.
    pub(super) fn gap(&self) -> Duration {
        let state = self.state.lock().unwrap();
        state.asked[1] - state.asked[0]
    }

    pub(super) fn text(&self, id: &str) -> String {
        String::from_utf8(self.state.lock().unwrap().texts[id].clone()).unwrap()
    }

    pub(super) fn texts(&self) -> usize {
        self.state.lock().unwrap().texts.len()
    }

    pub(super) fn heads(&self) -> String {
        self.state.lock().unwrap().heads.clone()
    }

    /// Bytes that the client accepted of the longest flood.
    pub(super) fn most_sent(&self) -> u64 {
        self.state.lock().unwrap().most_sent
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.tasks.stop_signal().cancel();
    }
}

async fn serve(
    mut stream: TcpStream,
    state: &Mutex<State>,
    asked: &watch::Sender<usize>,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&read[..end]).into_owned();
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    };
    let mut body = read.split_off(head.len() + 4);
    if let Some(id) = head.strip_prefix("GET /v1/content/").and_then(|rest| rest.split(' ').next()) {
        let text = state.lock().unwrap().texts.get(id).cloned();
        let answer =
            text.map_or_else(|| answer("404 Not Found", "", b""), |text| answer("200 OK", "", &text));
        return stream.write_all(&answer).await;
    }
    assert!(head.starts_with("POST /v1/content HTTP/1.1"), "{head}");
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    while body.len() < length {
        stream.read_buf(&mut body).await?;
    }
    let manner = {
        let mut state = state.lock().unwrap();
        state.asked.push(Instant::now());
        let _ = writeln!(state.heads, "{head}");
        state.manner.clone()
    };
    asked.send_modify(|count| *count += 1);
    store(stream, state, manner, body).await
}

async fn store(
    mut stream: TcpStream,
    state: &Mutex<State>,
    manner: Manner,
    text: Vec<u8>,
) -> std::io::Result<()> {
    let keep = |text: Vec<u8>| {
        let mut state = state.lock().unwrap();
        let id = format!("{:032x}", state.texts.len() + 1);
        state.texts.insert(id.clone(), text);
        answer(
            "201 Created",
            "Content-Type: application/json\r\n",
            format!("{{\"storage_id\": \"{id}\"}}").as_bytes(),
        )
    };
    match manner {
        Manner::Picky { word, status } if String::from_utf8_lossy(&text).contains(word) => {
            stream.write_all(&answer(status, "", b"{\"error\": \"no\"}")).await
        }
        Manner::Good | Manner::Picky { .. } => stream.write_all(&keep(text)).await,
        Manner::Says(answer) => stream.write_all(&answer).await,
        Manner::Hangs => stream.read_to_end(&mut Vec::new()).await.map(drop),
        Manner::Drips => {
            let mut beat = tokio::time::interval(Duration::from_millis(50));
            for byte in keep(text) {
                beat.tick().await;
                stream.write_all(&[byte]).await?;
            }
            Ok(())
        }
        Manner::Floods(head) => {
            stream.write_all(format!("HTTP/1.1 201 Created\r\n{head}\r\n").as_bytes()).await?;
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 65536], b"\r\n"].concat();
            let mut sent = 0;
            while stream.write_all(&chunk).await.is_ok() {
                sent += chunk.len() as u64;
                let mut state = state.lock().unwrap();
                state.most_sent = state.most_sent.max(sent);
            }
            Ok(())
        }
        Manner::StoresAndResets => {
            keep(text);
            stream.set_zero_linger()
        }
    }
}
