//! A request in Kafka's protocol that creates ACLs, because the Rust binding of librdkafka does not offer it.

use std::{io::Read, net::ToSocketAddrs as _};

use anyhow::{Context as _, Result, ensure};

use super::{metadata::ask, tls::GUEST};

/// A right of a user, with all operations that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To produce to topics with this prefix.
    Write(&'static str),
    /// To read topics with this prefix.
    Read(&'static str),
    /// To join this consumer group.
    Join(&'static str),
}

// Numbers of Kafka's protocol.
const TOPIC: u8 = 2;
const GROUP: u8 = 3;
const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
const READ: u8 = 3;
const WRITE: u8 = 4;
const ALLOW: u8 = 3;

impl Right {
    /// The type of the resource, its name, the type of the name pattern, and the operation.
    const fn parts(self) -> (u8, &'static str, u8, u8) {
        match self {
            Self::Write(prefix) => (TOPIC, prefix, PREFIXED, WRITE),
            Self::Read(prefix) => (TOPIC, prefix, PREFIXED, READ),
            Self::Join(group) => (GROUP, group, LITERAL, READ),
        }
    }
}

/// Gives [`GUEST`] these rights, over the listener without authentication.
///
/// # Errors
/// The server does not answer, or has no authorizer.
pub fn allow(bootstrap_servers: &str, rights: &[Right]) -> Result<()> {
    let address = bootstrap_servers.to_socket_addrs()?.next().context("Kafka has no address")?;
    let mut answer = ask(address, &request(rights)?)?;
    // Length, correlation id, throttle time, number of results, error code of the first.
    let mut head = [0; 18];
    answer.read_exact(&mut head)?;
    let [.., first, last] = head;
    ensure!(
        [first, last] == [0, 0],
        "Kafka refused to create an ACL with error code {}",
        i16::from_be_bytes([first, last])
    );
    Ok(())
}

/// A `CreateAcls` request of version 1, after its length.
fn request(rights: &[Right]) -> Result<Vec<u8>> {
    // API key, version, correlation id, no client id.
    let mut body = vec![0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff];
    body.extend(u32::try_from(rights.len())?.to_be_bytes());
    for right in rights {
        let (kind, name, pattern, operation) = right.parts();
        body.push(kind);
        text(&mut body, name)?;
        body.push(pattern);
        text(&mut body, &format!("User:{GUEST}"))?;
        text(&mut body, "*")?;
        body.extend([operation, ALLOW]);
    }
    let mut request = u32::try_from(body.len())?.to_be_bytes().to_vec();
    request.extend(body);
    Ok(request)
}

fn text(body: &mut Vec<u8>, text: &str) -> Result<()> {
    body.extend(u16::try_from(text.len())?.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_length_that_it_states_and_contains_user_and_rights() {
        let request = request(&[Right::Write("a."), Right::Join("b")]).unwrap();
        assert_eq!(request[..4], u32::try_from(request.len() - 4).unwrap().to_be_bytes());
        let first = [
            &[TOPIC, 0, 2][..],
            b"a.",
            &[PREFIXED, 0, 14],
            b"User:bos-guest",
            &[0, 1],
            b"*",
            &[WRITE, ALLOW],
        ];
        let first = first.concat();
        assert_eq!(request[18..18 + first.len()], first);
        assert_eq!(request[18 + first.len()..][..4], [GROUP, 0, 1, b'b']);
    }
}
