//! A request in Kafka's protocol that lists the brokers.
//!
//! A server accepts connections before its broker is ready. Until then it lists no broker, and topics cannot be created.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// The time-out of connecting and of an answer; chosen.
const PATIENCE: Duration = Duration::from_secs(1);

/// A Metadata request of version 1 for no topic: length, API key, version, correlation id, no client id, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// The number of brokers that the server at this port lists.
pub(super) fn brokers(port: u16) -> io::Result<u32> {
    listed(ask(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &REQUEST)?)
}

/// Sends a request, and returns the stream from which to read the answer.
pub(super) fn ask(address: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    Ok(stream)
}

/// Reads the start of the answer: its length, the correlation id and the number of brokers.
fn listed(mut answer: impl Read) -> io::Result<u32> {
    let mut length_and_correlation = [0; 8];
    answer.read_exact(&mut length_and_correlation)?;
    let mut brokers = [0; 4];
    answer.read_exact(&mut brokers)?;
    Ok(u32::from_be_bytes(brokers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of the answer of a real server.
    const ANSWER: [u8; 14] = [0, 0, 0, 0x25, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0];

    #[test]
    fn the_request_has_the_length_that_it_states() {
        assert_eq!(usize::from(REQUEST[3]), REQUEST.len() - 4);
    }

    #[test]
    fn the_number_of_brokers_is_read_from_the_answer() {
        assert_eq!(listed(&ANSWER[..]).unwrap(), 1);
        listed(&ANSWER[..9]).unwrap_err();
    }
}
