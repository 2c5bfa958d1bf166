//! One request in Kafka's protocol: which brokers are there.
//!
//! A server accepts connections before its broker may work; until then it lists none, and topics cannot be created.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(1);

/// A Metadata request of version 1 for no topic: length, kind, version, correlation id, no client's name, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// How many brokers the server at this port lists.
pub(super) fn brokers(port: u16) -> io::Result<u32> {
    listed(ask(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &REQUEST)?)
}

/// Sends a request; the answer is to be read from what this gives.
pub(super) fn ask(address: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    Ok(stream)
}

/// The answer begins with its length, the correlation id and the number of brokers.
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

    /// The head of a real server's answer.
    const ANSWER: [u8; 14] = [0, 0, 0, 0x25, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0];

    #[test]
    fn the_request_is_as_long_as_it_says() {
        assert_eq!(usize::from(REQUEST[3]), REQUEST.len() - 4);
    }

    #[test]
    fn brokers_are_counted_once_the_answer_says_so() {
        assert_eq!(listed(&ANSWER[..]).unwrap(), 1);
        listed(&ANSWER[..9]).unwrap_err();
    }
}
