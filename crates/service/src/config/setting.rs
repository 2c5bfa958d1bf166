//! What a value of a setting may be: one [`Setting`] per type, from text to meaning.
//!
//! Every layer hands over text (TOML numbers, booleans and lists are turned into it), so a value means the same
//! wherever it was written. The errors say what is wrong with a value without repeating it: any of them may
//! turn out to be a secret that was pasted into the wrong place.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;
use url::{Host, Url};

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Whether values are never shown, and may be read from a file named by the `_file` twin of the key.
    const SECRET: bool = false;

    /// The value of a setting that no layer mentions; `None` says that there must be one.
    fn unset() -> Option<Self> {
        None
    }

    /// Reads a value, or says in words what is wrong with it, never repeating it.
    fn parse(text: &str) -> Result<Self, String>;
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn unset() -> Option<Self> {
        Some(None)
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Setting for SecretString {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        }
    }
}

impl Setting for u16 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("is not a whole number from 0 to {}", Self::MAX))
    }
}

impl Setting for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("is not a whole number from 0 to {}", Self::MAX))
    }
}

impl Setting for NonZeroU32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("is not a whole number from 1 to {}", u32::MAX))
    }
}

impl Setting for IpAddr {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::V4(Ipv4Addr::LOCALHOST));
        }
        text.parse().map_err(|_| "is not an IP address, such as 127.0.0.1 or 0.0.0.0".to_owned())
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(Self::ZERO) => Err("must be longer than nothing".to_owned()),
            Ok(duration) => Ok(duration),
            Err(_) => Err("is not a duration with its unit, such as 200ms, 30s, 5m, 24h or 90d".to_owned()),
        }
    }
}

impl Setting for ByteSize {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Self(0)) => Err("must be at least 1 byte".to_owned()),
            Ok(size) => Ok(size),
            Err(_) => Err("is not a size in bytes, such as 200 kB, 32 MiB or 65536".to_owned()),
        }
    }
}

/// Where PostgreSQL is, with the password that opens it.
#[derive(Debug, Clone)]
pub struct DatabaseUrl(pub SecretString);

impl Setting for DatabaseUrl {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let url =
            Url::parse(text).map_err(|_| "is not a URL, such as postgres://user@host/bos".to_owned())?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Self(SecretString::from(text))),
            "sqlite" => Err("names SQLite, which lives in data_dir and needs no URL".to_owned()),
            _ => Err("is not a postgres:// URL".to_owned()),
        }
    }
}

/// The base URL of the Content Service, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentServiceUrl(String);

impl ContentServiceUrl {
    /// The address of the collection, path included (`http://content:8000/v1/content`).
    ///
    /// # Panics
    /// Never: the text was a URL when it was read.
    pub fn as_url(&self) -> Url {
        Url::parse(&self.0).expect("the text was a URL when it was read")
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the host is a link-local address (169.254.0.0/16, `fe80::/10`), where clouds keep their secrets.
    pub fn is_link_local(&self) -> bool {
        match Url::parse(&self.0).as_ref().ok().and_then(Url::host) {
            Some(Host::Ipv4(address)) => address.is_link_local(),
            Some(Host::Ipv6(address)) => {
                address.is_unicast_link_local()
                    || address.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local())
            }
            Some(Host::Domain(_)) | None => false,
        }
    }
}

impl Setting for ContentServiceUrl {
    fn parse(text: &str) -> Result<Self, String> {
        http_base(text, "http://content:8001", "proxy").map(Self)
    }
}

/// A base URL without its last slash. Only plain http is spoken; for https the error names the kind of neighbour that forwards.
pub(super) fn http_base(text: &str, example: &str, forwarder: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| format!("is not a URL, such as {example}"))?;
    match url.scheme() {
        "http" => {}
        "https" => {
            return Err(format!(
                "is an https:// URL, which is not spoken here: name a {forwarder} near by that forwards"
            ));
        }
        _ => return Err("is not an http:// URL".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("carries a user name or password, which a URL must not".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("carries a query or a fragment; only a base URL makes sense here".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The Kafka servers asked first, `host:port` each, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brokers(Vec<String>);

impl Brokers {
    /// The list as librdkafka takes it: `host:port,host:port`.
    pub fn joined(&self) -> String {
        self.0.join(",")
    }

    /// Whether every server is on this machine.
    pub fn are_loopback(&self) -> bool {
        self.0.iter().all(|server| {
            let host = server.rsplit_once(':').map_or(server.as_str(), |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }
}

impl Setting for Brokers {
    fn parse(text: &str) -> Result<Self, String> {
        let mut servers: Vec<String> = Vec::new();
        for server in text.split(',').map(str::trim).filter(|server| !server.is_empty()) {
            let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
            if host.is_empty() || host.contains('/') || !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return Err("is not a list of host:port with ports from 1 to 65535".to_owned());
            }
            if !servers.iter().any(|known| known == server) {
                servers.push(server.to_owned());
            }
        }
        if servers.is_empty() {
            return Err("names no server; host:port is expected".to_owned());
        }
        Ok(Self(servers))
    }
}

/// Declares the settings once: the struct, the list of keys and how each is read come from the same lines.
macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// Everything that can be set, flat, each under the name it has in the file.
        ///
        /// The defaults are those of the embedded `config.default.toml`; the text of each setting there is the
        /// page to read.
        #[derive(Debug, Clone)]
        pub struct Config { $($(#[$doc])* pub $key: $type,)* }

        /// Every key, in the order of the file.
        pub const KEYS: &[Key] = &[
            $(Key { name: stringify!($key), secret: <$type as setting::Setting>::SECRET },)*
        ];

        impl Config {
            fn read(values: &mut layers::Values) -> Option<Self> {
                $(let $key = values.take::<$type>(stringify!($key));)*
                Some(Self { $($key: $key?,)* })
            }
        }
    };
}
pub(super) use settings;
