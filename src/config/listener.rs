//! Where clients connect.

use crate::exchange::{EmptySegments, EncodedSlashes, PathRules};
use crate::value::schema::word_schema;
use crate::value::{Cidr, Duration, Invalid, Name, deserialize_text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// One address where clients connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listener")]
pub struct ListenerConfig {
    /// Its name, in logs and metrics.
    pub name: Name,
    /// Its address and port.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "Bound")]
    pub address: SocketAddr,
    /// What is spoken there: `http/1.1` alone where it is left out, with TLS also `h2`.
    pub protocols: Option<Vec<WireProtocol>>,
    /// TLS; plain text where it is left out.
    pub tls: Option<ListenerTls>,
    /// Proxies in front of it: only these may say who the client is.
    #[serde(default)]
    pub trusted_proxies: Vec<Cidr>,
    /// What becomes of `//` in a path, before anything is matched: `merge` or `keep`.
    #[serde(default)]
    pub empty_segments: EmptySegments,
    /// What becomes of `%2F` and `%5C` in a path: `refuse` or `keep`, as data of their segment.
    #[serde(default)]
    pub encoded_slashes: EncodedSlashes,
    /// How long it waits for clients.
    #[serde(default)]
    pub timeouts: ListenerTimeouts,
    /// The most connections at a time, those beyond are closed at once; no limit where it is
    /// left out.
    pub max_connections: Option<u32>,
}

impl ListenerConfig {
    /// What it does with paths.
    pub fn paths(&self) -> PathRules {
        let ListenerConfig { empty_segments, encoded_slashes, .. } = *self;
        PathRules { empty_segments, encoded_slashes }
    }
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum WireProtocol {
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2 inside TLS, agreed on by ALPN.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/2 in plain text, by prior knowledge.
    #[serde(rename = "h2c")]
    H2c,
}

/// TLS on a listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Certificates with their keys; so far exactly one.
    pub certificates: Vec<Certificate>,
}

/// A certificate and its key, as PEM files beside the document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How long a listener waits for a client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerTimeouts {
    /// For the TLS handshake; 10 seconds where it is left out.
    pub handshake: Option<Duration>,
    /// For a whole request head; 10 seconds where it is left out.
    pub head: Option<Duration>,
    /// For each next part of a body, either way; 60 seconds where it is left out.
    pub body: Option<Duration>,
    /// For the next request on a connection; 75 seconds where it is left out.
    pub keep_alive: Option<Duration>,
}

/// Reads an address with its port.
pub fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let Bound(address) = deserialize_text(deserializer, "an address with a port")?;
    Ok(address)
}

/// An address with a port, that says so when it is none.
pub struct Bound(SocketAddr);

word_schema!(
    Bound,
    "Bound",
    "An address with a port.",
    {"type": "string", "examples": ["0.0.0.0:8080", "[::]:8080"]}
);

impl FromStr for Bound {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refusal = || {
            let like = "such as `0.0.0.0:8080` or `[::]:8080`";
            Invalid::new(format!("`{text}` is no address with a port, {like}"))
        };
        text.parse().map(Bound).map_err(|_| refusal())
    }
}
