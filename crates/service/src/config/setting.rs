//! The types of settings: [`Setting`] parses the text of a value.
//!
//! Every layer provides text (TOML numbers, booleans and lists are converted to it), so a value means the same in every layer.
//! An error describes what is wrong with a value without repeating it, because any value may be a secret in the wrong place.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;
use secret::Secret;
use url::{Host, Url};

use super::secret_file::read_secret;

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Whether values are never printed, and can be read from the file that `<key>_file` names.
    const SECRET: bool = false;

    /// The value of a setting that no layer gives; `None` if a value is required.
    fn unset() -> Option<Self> {
        None
    }

    /// Parses a value.
    ///
    /// # Errors
    /// What is wrong with the value, as a predicate that does not repeat it.
    fn parse(text: &str) -> Result<Self, String>;

    /// As [`Setting::parse`], for the content of a file. A secret keeps the path, so that it can be read again.
    ///
    /// # Errors
    /// As those of [`Setting::parse`].
    fn parse_file(text: &str, path: &Path) -> Result<Self, String> {
        let _ = path;
        Self::parse(text)
    }
}

/// A secret from a file. When it is read again, `check` decides whether the new value is valid.
fn secret_of_file(text: &str, path: &Path, check: fn(&str) -> Result<(), String>) -> Secret {
    let path = path.to_owned();
    Secret::with_source(SecretString::from(text), move || {
        let text = read_secret(&path)?;
        check(text.trim())?;
        Ok(SecretString::from(text.trim()))
    })
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn unset() -> Option<Self> {
        Some(None)
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn parse_file(text: &str, path: &Path) -> Result<Self, String> {
        T::parse_file(text, path).map(Some)
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

impl Setting for Secret {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn parse_file(text: &str, path: &Path) -> Result<Self, String> {
        Ok(secret_of_file(text, path, |_| Ok(())))
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("is not a boolean: write true or false".to_owned()),
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
            Ok(Self::ZERO) => Err("must be longer than 0s".to_owned()),
            Ok(duration) => Ok(duration),
            Err(_) => Err("is not a duration with a unit, such as 200ms, 30s, 5m, 24h or 90d".to_owned()),
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

/// The URL of a PostgreSQL database, with its password.
#[derive(Debug, Clone)]
pub struct DatabaseUrl(pub Secret);

impl DatabaseUrl {
    fn check(text: &str) -> Result<(), String> {
        let url =
            Url::parse(text).map_err(|_| "is not a URL, such as postgres://user@host/bos".to_owned())?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(()),
            "sqlite" => Err("is for SQLite, which needs no URL: its file is in data_dir".to_owned()),
            _ => Err("is not a postgres:// URL".to_owned()),
        }
    }
}

impl Setting for DatabaseUrl {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Self::check(text).map(|()| Self(Secret::from(text)))
    }

    fn parse_file(text: &str, path: &Path) -> Result<Self, String> {
        Self::check(text).map(|()| Self(secret_of_file(text, path, Self::check)))
    }
}

/// The base URL of the Content Service, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentServiceUrl(String);

impl ContentServiceUrl {
    /// The URL of the collection, with its path (`http://content:8000/v1/content`).
    ///
    /// # Panics
    /// Never: the text was parsed as a URL when the setting was read.
    pub fn as_url(&self) -> Url {
        Url::parse(&self.0).expect("the text was a URL when it was read")
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the host is a link-local address (169.254.0.0/16, `fe80::/10`), where clouds serve the machine's credentials.
    pub fn is_link_local(&self) -> bool {
        is_link_local(&self.0)
    }
}

fn is_link_local(url: &str) -> bool {
    match Url::parse(url).as_ref().ok().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local())
        }
        Some(Host::Domain(_)) | None => false,
    }
}

/// The base URL of the Essay Lifecycle Service, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElsUrl(String);

impl ElsUrl {
    /// The base URL (`http://essay_lifecycle:6000`).
    ///
    /// # Panics
    /// Never: the text was parsed as a URL when the setting was read.
    pub fn as_url(&self) -> Url {
        Url::parse(&self.0).expect("the text was a URL when it was read")
    }

    /// Whether the host is a link-local address, as [`ContentServiceUrl::is_link_local`].
    pub fn is_link_local(&self) -> bool {
        is_link_local(&self.0)
    }
}

impl Setting for ElsUrl {
    fn parse(text: &str) -> Result<Self, String> {
        http_base(text, "http://essay_lifecycle:6000", "proxy").map(Self)
    }
}

impl Setting for ContentServiceUrl {
    fn parse(text: &str) -> Result<Self, String> {
        http_base(text, "http://content:8001", "proxy").map(Self)
    }
}

/// Parses a base URL and removes its trailing slashes.
///
/// Only plain http is supported. For https the error advises a `forwarder`, such as a proxy.
///
/// # Errors
/// What is wrong with the URL, as a predicate that does not repeat it.
pub(super) fn http_base(text: &str, example: &str, forwarder: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| format!("is not a URL, such as {example}"))?;
    match url.scheme() {
        "http" => {}
        "https" => {
            return Err(format!(
                "is an https:// URL, which is not supported: name a {forwarder} near by that forwards"
            ));
        }
        _ => return Err("is not an http:// URL".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or a password; remove them".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query or a fragment, but must be a base URL".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The Kafka brokers to ask first, as `host:port` without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brokers(Vec<String>);

impl Brokers {
    /// The list in librdkafka's form: `host:port,host:port`.
    pub fn joined(&self) -> String {
        self.0.join(",")
    }

    /// Whether every broker is on this machine.
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
                return Err(
                    "is not a list of host:port, separated by commas, with ports from 1 to 65535".to_owned()
                );
            }
            if !servers.iter().any(|known| known == server) {
                servers.push(server.to_owned());
            }
        }
        if servers.is_empty() {
            return Err("names no broker: write host:port".to_owned());
        }
        Ok(Self(servers))
    }
}

/// Hosts for which requests may be; the word `none` is the empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts(Vec<api::Host>);

impl AllowedHosts {
    /// The hosts, in the order of the setting.
    pub fn as_slice(&self) -> &[api::Host] {
        &self.0
    }
}

impl Setting for AllowedHosts {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let hosts = text.split(',').map(|host| api::Host::parse(host.trim()));
        let hosts: Option<Vec<_>> = hosts.map(|host| host.filter(api::Host::is_of_a_machine)).collect();
        let expected =
            "is not a list of host names and addresses, without ports or patterns, separated by commas";
        hosts.map(Self).ok_or_else(|| expected.to_owned())
    }
}

/// Declares the settings once: generates the struct, the list of keys, and the parsing of each value.
macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// All settings, each under the name that it has in a file of settings.
        ///
        /// `config.default.toml` ([`DEFAULTS`]) has the defaults, and explains each setting.
        #[derive(Debug, Clone)]
        pub struct Config { $($(#[$doc])* pub $key: $type,)* }

        /// Every key, in the order of [`DEFAULTS`].
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
