//! A TCP proxy before a server, which injects network faults.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use socket2::SockRef;

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;
/// The time-out of connecting to the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The stack of a thread that copies, in bytes.
const STACK: usize = 128 * 1024;

/// A network fault that applies to all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkFault {
    /// No fault.
    None,
    /// Every piece is delayed by this time.
    Slow(Duration),
    /// Nothing arrives in either direction, and connections stay open. Everything arrives after the fault.
    BlackHole,
    /// Each connection is reset after this number of further bytes, possibly in the middle of a message.
    CutAfter(usize),
    /// A request that contains these bytes arrives and is processed, and the connection is reset before the answer arrives.
    CutAt(&'static [u8]),
    /// Requests arrive and are processed, but the answers are lost.
    DropReplies,
}

/// A proxy, which runs until the process ends.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The port of the server; 0 until it is known.
    server: AtomicU16,
    fault: Mutex<NetworkFault>,
    changed: Condvar,
    connections: Mutex<Vec<Weak<Connection>>>,
    /// The number of reset connections and of delayed or lost pieces.
    affected: AtomicUsize,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Whether the proxy has reset it.
    dead: AtomicBool,
    /// Whether bytes were lost, so that it must be reset after the fault.
    torn: AtomicBool,
    /// Whether the next answer is to be lost ([`NetworkFault::CutAt`]).
    last: AtomicBool,
    /// Bytes that passed since [`NetworkFault::CutAfter`] was set.
    passed: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy on a free port.
    ///
    /// # Errors
    /// There is no free port.
    pub fn listen() -> Result<Self> {
        let [port] = crate::port::free()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("listening for a server")?;
        let shared = Arc::new(Shared {
            server: AtomicU16::new(0),
            fault: Mutex::new(NetworkFault::None),
            changed: Condvar::new(),
            connections: Mutex::default(),
            affected: AtomicUsize::new(0),
        });
        let proxy = Self { port, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // If no thread can start, the client sees a closed connection.
                let _ = small_thread().spawn(move || shared.serve(client));
            }
        });
        Ok(proxy)
    }

    /// Sets the port of the server, on the loopback address.
    pub fn forward_to(&self, port: u16) {
        self.shared.server.store(port, Ordering::SeqCst);
    }

    /// The port on which the proxy listens, on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Sets the fault, and resets connections on which the fault before it has lost bytes.
    pub fn set(&self, fault: NetworkFault) {
        *lock(&self.shared.fault) = fault;
        self.shared.changed.notify_all();
        for connection in self.shared.connections() {
            connection.passed.store(0, Ordering::SeqCst);
            if connection.torn.load(Ordering::SeqCst) {
                connection.end();
            }
        }
    }

    /// Resets every connection.
    pub fn reset(&self) {
        let connections = self.shared.connections();
        self.shared.affected.fetch_add(connections.len(), Ordering::SeqCst);
        for connection in connections {
            connection.end();
        }
    }

    /// The number of connections reset, and of pieces delayed or lost, so far.
    pub fn affected(&self) -> usize {
        self.shared.affected.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn connections(&self) -> Vec<Arc<Connection>> {
        let mut connections = lock(&self.connections);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.iter().filter_map(Weak::upgrade).collect()
    }

    /// Serves one connection until it ends.
    fn serve(self: Arc<Self>, client: TcpStream) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.load(Ordering::SeqCst)));
        let Ok(server) = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) else { return };
        for stream in [&client, &server] {
            // An error means that the stream is already closed, which the first read reports.
            let _ = stream.set_nodelay(true);
        }
        let connection = Arc::new(Connection {
            client,
            server,
            dead: AtomicBool::new(false),
            torn: AtomicBool::new(false),
            last: AtomicBool::new(false),
            passed: AtomicUsize::new(0),
        });
        lock(&self.connections).push(Arc::downgrade(&connection));
        let (replies, of) = (Arc::clone(&self), Arc::clone(&connection));
        if small_thread().spawn(move || replies.copy(&of, true)).is_ok() {
            self.copy(&connection, false);
        }
    }

    /// Copies one direction until it ends; `replies`: from the server to the client.
    fn copy(&self, connection: &Connection, replies: bool) {
        let Connection { client, server, .. } = connection;
        let (mut from, mut to) = if replies { (server, client) } else { (client, server) };
        let mut chunk = [0; CHUNK];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) if !connection.dead.load(Ordering::SeqCst) => {
                    // One side has closed its direction; the other direction may continue.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(read) if read > 0 => read,
                Ok(_) | Err(_) => return connection.end(),
            };
            let piece = chunk.get(..read).unwrap_or_default();
            let allowed = self.pass(connection, piece, replies);
            if let Some(piece) = allowed
                && (to.write_all(piece).is_err() || piece.len() < read)
            {
                return connection.end();
            }
        }
    }

    /// Applies the fault to a piece: returns the part that arrives, or `None` if all of it is lost.
    fn pass<'p>(&self, connection: &Connection, piece: &'p [u8], replies: bool) -> Option<&'p [u8]> {
        let mut fault = lock(&self.fault);
        if *fault == NetworkFault::BlackHole {
            self.affected.fetch_add(1, Ordering::SeqCst);
        }
        while *fault == NetworkFault::BlackHole && !connection.dead.load(Ordering::SeqCst) {
            fault = self.changed.wait(fault).unwrap_or_else(PoisonError::into_inner);
        }
        let now = *fault;
        drop(fault);
        match now {
            NetworkFault::Slow(time) => {
                self.affected.fetch_add(1, Ordering::SeqCst);
                thread::sleep(time);
                Some(piece)
            }
            NetworkFault::CutAfter(bytes) => {
                let passed = connection.passed.fetch_add(piece.len(), Ordering::SeqCst);
                let rest = bytes.saturating_sub(passed);
                if rest < piece.len() {
                    self.affected.fetch_add(1, Ordering::SeqCst);
                }
                Some(piece.get(..rest).unwrap_or(piece))
            }
            NetworkFault::CutAt(words) if !replies => {
                if piece.windows(words.len()).any(|window| window == words) {
                    connection.last.store(true, Ordering::SeqCst);
                }
                Some(piece)
            }
            NetworkFault::CutAt(_) if connection.last.load(Ordering::SeqCst) => {
                self.affected.fetch_add(1, Ordering::SeqCst);
                connection.end();
                None
            }
            NetworkFault::DropReplies if replies => {
                self.affected.fetch_add(1, Ordering::SeqCst);
                connection.torn.store(true, Ordering::SeqCst);
                None
            }
            NetworkFault::None
            | NetworkFault::BlackHole
            | NetworkFault::DropReplies
            | NetworkFault::CutAt(_) => Some(piece),
        }
    }
}

impl Connection {
    /// Resets the connection on both sides.
    fn end(&self) {
        self.dead.store(true, Ordering::SeqCst);
        for stream in [&self.client, &self.server] {
            // With a linger of 0 the last close discards unsent bytes and sends a reset. Closing the read direction only wakes the
            // thread that reads.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

fn small_thread() -> thread::Builder {
    thread::Builder::new().stack_size(STACK)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// An echo server, and a connection to it through a proxy.
    fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::listen().unwrap();
        proxy.forward_to(listener.local_addr().unwrap().port());
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
                });
            }
        });
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        (proxy, client)
    }

    fn heard(client: &mut TcpStream, time: Duration) -> std::io::Result<usize> {
        client.set_read_timeout(Some(time)).unwrap();
        client.read(&mut [0; 64])
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn bytes_held_by_a_black_hole_arrive_after_it() {
        let (proxy, mut client) = echo();
        client.write_all(b"one").unwrap();
        assert_eq!(heard(&mut client, LONG).unwrap(), 3);
        proxy.set(NetworkFault::BlackHole);
        client.write_all(b"four").unwrap();
        assert_eq!(heard(&mut client, SHORT).unwrap_err().kind(), ErrorKind::WouldBlock);
        proxy.set(NetworkFault::None);
        assert_eq!(heard(&mut client, LONG).unwrap(), 4);
        assert_eq!(proxy.affected(), 1);
    }

    #[test]
    fn a_dropped_answer_never_arrives_and_its_connection_is_reset_after_the_fault() {
        let (proxy, mut client) = echo();
        proxy.set(NetworkFault::DropReplies);
        client.write_all(b"lost").unwrap();
        while proxy.affected() == 0 {
            thread::sleep(SHORT);
        }
        proxy.set(NetworkFault::None);
        assert_eq!(heard(&mut client, LONG).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_cut_at_one_request_loses_its_answer_and_connection_and_no_earlier_answer() {
        let (proxy, mut client) = echo();
        proxy.set(NetworkFault::CutAt(b"COMMIT"));
        client.write_all(b"one").unwrap();
        assert_eq!(heard(&mut client, LONG).unwrap(), 3);
        client.write_all(b"COMMIT").unwrap();
        assert_eq!(heard(&mut client, LONG).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(proxy.affected(), 1);
    }

    #[test]
    fn a_connection_is_cut_within_a_message_and_a_reset_ends_it_at_once() {
        let (proxy, mut client) = echo();
        // 5 bytes of both directions together: the request of 4, and 1 of its echo.
        proxy.set(NetworkFault::CutAfter(5));
        client.write_all(b"four").unwrap();
        let mut said = Vec::new();
        client.set_read_timeout(Some(LONG)).unwrap();
        let ended = client.read_to_end(&mut said);
        assert!(said.len() <= 1 && ended.is_err(), "{said:?}");

        proxy.set(NetworkFault::None);
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        client.write_all(b"one").unwrap();
        assert_eq!(heard(&mut client, LONG).unwrap(), 3);
        proxy.reset();
        assert_eq!(heard(&mut client, LONG).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
