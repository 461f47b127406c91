//! Where an endpoint listens, as it is written.

use crate::value::deserialize_text;
use crate::value::schema::word_schema;
use pingora::upstreams::peer::HttpPeer;
use serde::Deserialize;
use serde::de::Deserializer;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// `ADDRESS:PORT`, `[ADDRESS]:PORT`, `NAME:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A name that is resolved in the background, and a port.
    Name(String, u16),
    /// A Unix socket's path.
    Unix(String),
}

/// Text that is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidAddress {
    /// There is no port.
    #[error("`{0}` has no port, write it as `{0}:80`")]
    NoPort(String),
    /// The port is no port.
    #[error("`{0}` is no port, a port is a number from 1 to 65535")]
    Port(String),
    /// The host is neither an address nor a name.
    #[error("`{0}` is neither an IP address nor a host name")]
    Host(String),
    /// A Unix socket's path is not absolute or too long.
    #[error("`{0}` is no path of a Unix socket: it must be absolute and under 108 bytes")]
    Path(String),
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            // The kernel's limit for a socket's path (sockaddr_un) is 108 bytes with its NUL.
            if !path.starts_with('/') || path.len() > 107 || path.contains('\0') {
                return Err(InvalidAddress::Path(path.to_owned()));
            }
            return Ok(Address::Unix(path.to_owned()));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Address::Ip(address));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(InvalidAddress::NoPort(text.to_owned()));
        };
        if !is_host_name(host) {
            return Err(InvalidAddress::Host(host.to_owned()));
        }
        match port.parse() {
            Ok(0) | Err(_) => Err(InvalidAddress::Port(port.to_owned())),
            Ok(port) => Ok(Address::Name(host.to_owned(), port)),
        }
    }
}

/// Labels of letters, digits, hyphens and underscores, the last of which is no number: otherwise
/// it was meant as an address (RFC 1123 §2.1; names in use have underscores).
fn is_host_name(host: &str) -> bool {
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253
        && labels.clone().all(is_label)
        && labels.next_back().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()))
}

impl Address {
    /// A peer at this address; at a place that is none while a name is not resolved.
    pub(super) fn template(&self, tls: bool, sni: &str) -> HttpPeer {
        const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        match self {
            Address::Ip(address) => HttpPeer::new(address, tls, sni.to_owned()),
            Address::Name(..) => HttpPeer::new(NOWHERE, tls, sni.to_owned()),
            Address::Unix(path) => HttpPeer::new_uds(path, tls, sni.to_owned())
                .expect("the path was checked when the address was read"),
        }
    }

    /// What `Host` says for it, where nothing else is said.
    pub fn authority(&self) -> String {
        match self {
            Address::Unix(_) => "localhost".to_owned(),
            address => address.to_string(),
        }
    }

    /// The name that TLS asks for and checks, where nothing else is said.
    pub fn server_name(&self) -> String {
        match self {
            Address::Ip(address) => address.ip().to_string(),
            Address::Name(name, _) => name.trim_end_matches('.').to_owned(),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Name(name, port) => write!(f, "{name}:{port}"),
            Address::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an address with a port")
    }
}

word_schema!(
    Address,
    "Address",
    "Where an endpoint listens: `ADDRESS:PORT`, `NAME:PORT` or `unix:PATH`.",
    {"type": "string", "examples": ["127.0.0.1:8080", "orders.internal:8080", "unix:/run/app.sock"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        text.parse::<Address>().map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_names_and_sockets_are_told_apart() {
        assert!(matches!(parse("10.0.0.1:80"), Ok(Address::Ip(_))));
        assert!(matches!(parse("[::1]:80"), Ok(Address::Ip(_))));
        assert_eq!(parse("a.internal:80"), Ok(Address::Name("a.internal".into(), 80)));
        assert_eq!(parse("unix:/run/a.sock"), Ok(Address::Unix("/run/a.sock".into())));
    }

    #[test]
    fn what_is_no_address_says_what_is_missing() {
        assert_eq!(
            parse("a.internal").unwrap_err(),
            "`a.internal` has no port, write it as `a.internal:80`"
        );
        assert!(parse("10.0.0.256:80").unwrap_err().contains("neither an IP address"));
        assert!(parse("a:0").unwrap_err().contains("1 to 65535"));
        assert!(parse("unix:run/a.sock").unwrap_err().contains("absolute"));
        assert!(parse("a b:80").is_err());
    }
}
