//! Free ports, which stay free while their server is down.

use std::{
    iter,
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Result, ensure};

/// Ports below the range that systems give to outgoing connections.
///
/// Otherwise a client that retries to connect to a killed server would at some time get the server's port for its own end, and
/// the server could not start again.
const PORTS: std::ops::Range<u16> = 16_384..32_768;
const ATTEMPTS: usize = 1_000;

/// Finds `N` different ports on which no process listens now. The server must bind them soon.
///
/// # Errors
/// There are not enough free ports.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let drawn = iter::repeat_with(|| fastrand::u16(PORTS)).take(ATTEMPTS);
    // The listeners are held until all ports are found, so that all are different.
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
    fn free_ports_differ_and_can_be_bound() {
        let ports = free::<8>().unwrap();
        let taken = ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        assert_eq!(taken.map(|listener| listener.local_addr().unwrap().port()), ports);
    }
}
