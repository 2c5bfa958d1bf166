//! What counts as one peer of a listener, and how its connections over the limit are refused.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use socket2::SockRef;
use telemetry::Tasks;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::{CONNECTION, linger, permits};
use crate::metrics::CONNECTIONS_CLOSED;
use crate::problem::{Code, Problem};

/// Most refused connections that are still read for a moment, so that their clients see the answer. Further ones are closed at
/// once. On a listener with few connections, a sixteenth of its number: they are beside its slots.
const LINGERING: u32 = 32;

/// The address that counts as one peer. One host usually has a whole /64 of IPv6.
pub(super) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Answers connections of a peer that has as many as it may, without a slot and without a wait.
pub(super) struct Refusals {
    answer: Vec<u8>,
    lingering: Arc<Semaphore>,
}

impl Refusals {
    pub(super) fn new(max_connections: NonZeroU32) -> Self {
        let problem = Problem::new(
            Code::TooManyConnections,
            "This address has as many connections as one address may have; use fewer, and keep them open.",
        );
        let lingering = (max_connections.get() / 16).clamp(1, LINGERING);
        Self { answer: problem.on_the_wire(), lingering: Arc::new(Semaphore::new(permits(lingering))) }
    }

    pub(super) fn refuse(&self, stream: TcpStream, tasks: &Tasks) {
        metrics::counter!(CONNECTIONS_CLOSED, "reason" => "peer_limit").increment(1);
        // The send buffer of a new connection is empty and takes the whole answer. The runtime does not know yet that the socket is
        // writable, so its own `try_write` would refuse.
        if SockRef::from(&stream).send(&self.answer).is_err() {
            return;
        }
        if let Ok(place) = Arc::clone(&self.lingering).try_acquire_owned() {
            tasks.spawn(CONNECTION, async move {
                linger(stream).await;
                drop(place);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IpAddr, peer_of};

    #[test]
    fn a_peer_is_an_address_of_ipv4_or_a_64_of_ipv6() {
        let peer = |text: &str| peer_of(text.parse().unwrap()).to_string();
        assert_eq!(peer("192.0.2.7"), "192.0.2.7");
        assert_eq!(peer("::ffff:192.0.2.7"), "192.0.2.7", "IPv4 on a socket of IPv6");
        assert_eq!(peer("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(peer_of(IpAddr::from([0x2001, 0xdb8, 1, 3, 0, 0, 0, 1])).to_string(), "2001:db8:1:2::");
    }
}
