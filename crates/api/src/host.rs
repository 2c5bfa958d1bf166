//! The host that a request is for, as its header `Host` or a web page's `Origin` writes it.

use std::net::{IpAddr, Ipv6Addr};

/// A host name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, in lower case and without a final dot.
    Name(String),
}

impl Host {
    /// Reads a name or an address without a port; an address of IPv6 in brackets or without. `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let address: Ipv6Addr = bracketed.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        name.bytes().all(is_of_a_name).then_some(Self::Name(name))
    }

    /// Reads `host` or `host:port` (RFC 9110 §7.2). `None` if it is neither.
    pub(crate) fn parse_with_port(text: &str) -> Option<Self> {
        let end_of_address = text.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match text.get(end_of_address..)?.find(':') {
            Some(at) => (text.get(..end_of_address + at)?, text.get(end_of_address + at + 1..)?),
            None => (text, ""),
        };
        let is_bare_ipv6 = host.parse::<Ipv6Addr>().is_ok();
        let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port && !is_bare_ipv6 { Self::parse(host) } else { None }
    }

    /// Whether it can be the host of a machine: an address, or a name of letters, digits, hyphens and underscores.
    pub fn is_of_a_machine(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Name(name) => {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            }
        }
    }

    /// Whether the host is always this machine: `localhost`, a name below it (RFC 6761 §6.3), or a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.to_canonical().is_loopback(),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Whether it is an address, which names no other host whatever a name server answers.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self, Self::Address(_))
    }
}

/// The characters of a registered name (RFC 3986 §3.2.2).
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn names_and_addresses_are_read_with_and_without_a_port() {
        let name = |name: &str| Some(Host::Name(name.to_owned()));
        let address = |text: &str| Some(Host::Address(text.parse().unwrap()));
        for (text, host) in [
            ("bos", name("bos")),
            ("BOS.School.Example.:443", name("bos.school.example")),
            ("bos:", name("bos")),
            ("", name("")),
            ("127.0.0.1:5000", address("127.0.0.1")),
            ("[::1]:5000", address("::1")),
            ("[::1]", address("::1")),
        ] {
            assert_eq!(Host::parse_with_port(text), host, "{text}");
        }
        for wrong in [
            "bos:port",
            "bos:1:2",
            "user@bos",
            "bos/",
            "b os",
            "[::1",
            "::1",
            "[bos]:1",
            "bos:123456",
            "ü",
            "]",
        ] {
            assert_eq!(Host::parse_with_port(wrong), None, "{wrong}");
        }
        assert_eq!(Host::parse("::1"), address("::1"));
        assert_eq!(Host::parse("bos:5000"), None);
    }

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        let is_loopback = |text: &str| Host::parse(text).unwrap().is_loopback();
        for local in [
            "localhost",
            "LOCALHOST.",
            "bos.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(local), "{local}");
        }
        for other in [
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "0.0.0.0",
            "[::]",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
