//! Ports that are free, and stay free while their server is down.

use std::{
    iter,
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Result, ensure};

/// Below what systems give to outgoing connections: a client that knocks at a killed server's door again and again would
/// else, sooner or later, be given that very port for its own end, and the server could not come back.
const PORTS: std::ops::Range<u16> = 16_384..32_768;
const ATTEMPTS: usize = 1_000;

/// So many different ports that nobody listens on just now; the server takes them a moment later.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let drawn = iter::repeat_with(|| fastrand::u16(PORTS)).take(ATTEMPTS);
    // Held until all are found, so that no two are the same.
    let held = drawn.filter_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)));
    let held: Vec<_> = held.take(N).collect();
    ensure!(held.len() == N, "no free port between {} and {}", PORTS.start, PORTS.end);
    let mut ports = [0; N];
    for (port, (found, _)) in ports.iter_mut().zip(&held) {
        *port = *found;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_taken() {
        let ports = free::<8>().unwrap();
        let taken = ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        assert_eq!(taken.map(|listener| listener.local_addr().unwrap().port()), ports);
    }
}
