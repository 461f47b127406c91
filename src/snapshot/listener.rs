//! Where clients connect, compiled.

use crate::config::{ListenerConfig, ListenerTls, WireProtocol};
use crate::exchange::{Listener, Timeouts};
use crate::value::{Duration, Invalid};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A place where clients connect, and what they may speak there.
#[derive(Debug)]
pub struct Door {
    /// Its address.
    pub address: SocketAddr,
    /// Whether HTTP/1.1 is spoken.
    pub http1: bool,
    /// Whether HTTP/2 is spoken in plain text.
    pub h2c: bool,
    /// What a TLS handshake needs; plain text where there is none.
    pub tls: Option<Arc<ServerConfig>>,
    /// The most connections at a time.
    pub max_connections: Option<u32>,
    /// What it means to its connections.
    pub listener: Arc<Listener>,
}

impl Door {
    /// Turns what was typed into what it means; files are found from `folder`.
    pub fn compile(config: &ListenerConfig, folder: &Path) -> Result<Self, Invalid> {
        let protocols = protocols(config)?;
        let tls = config.tls.as_ref().map(|tls| handshake(tls, &protocols, folder)).transpose();
        let listener = Listener {
            name: config.name.as_str().into(),
            trusted_proxies: config.trusted_proxies.iter().copied().collect(),
            paths: config.paths(),
            timeouts: timeouts(config).map_err(|invalid| invalid.under("timeouts"))?,
        };
        if config.max_connections == Some(0) {
            let message = "a listener that takes no connection serves nobody";
            return Err(Invalid::new(message).under("max_connections"));
        }
        Ok(Door {
            address: config.address,
            http1: protocols.contains(&WireProtocol::Http1),
            h2c: protocols.contains(&WireProtocol::H2c),
            tls: tls.map_err(|invalid| invalid.under("tls"))?,
            max_connections: config.max_connections,
            listener: Arc::new(listener),
        })
    }
}

fn protocols(config: &ListenerConfig) -> Result<Vec<WireProtocol>, Invalid> {
    let fallback = || match config.tls {
        Some(_) => vec![WireProtocol::H2, WireProtocol::Http1],
        None => vec![WireProtocol::Http1],
    };
    let protocols = config.protocols.clone().unwrap_or_else(fallback);
    let refusal = if protocols.is_empty() {
        "a listener speaks something: `http/1.1`, `h2` or `h2c`"
    } else if config.tls.is_none() && protocols.contains(&WireProtocol::H2) {
        "`h2` is agreed on inside TLS; in plain text it is called `h2c`"
    } else if config.tls.is_some() && protocols.contains(&WireProtocol::H2c) {
        "`h2c` is HTTP/2 in plain text; inside TLS it is called `h2`"
    } else {
        return Ok(protocols);
    };
    Err(Invalid::new(refusal).under("protocols"))
}

fn timeouts(config: &ListenerConfig) -> Result<Timeouts, Invalid> {
    let typed = &config.timeouts;
    let fallback = Timeouts::default();
    let time = |name: &str, typed: Option<Duration>, fallback| match typed {
        Some(time) if time.is_zero() => {
            Err(Invalid::new("a time of zero would refuse every client").under(name))
        }
        typed => Ok(typed.map_or(fallback, |time| *time)),
    };
    Ok(Timeouts {
        handshake: time("handshake", typed.handshake, fallback.handshake)?,
        head: time("head", typed.head, fallback.head)?,
        body: time("body", typed.body, fallback.body)?,
        keep_alive: time("keep_alive", typed.keep_alive, fallback.keep_alive)?,
    })
}

/// Reads the certificate and its key, and says which protocols may be agreed on.
fn handshake(
    tls: &ListenerTls,
    protocols: &[WireProtocol],
    folder: &Path,
) -> Result<Arc<ServerConfig>, Invalid> {
    let [pair] = &tls.certificates[..] else {
        let message = "exactly one certificate is needed, this version chooses none by name";
        return Err(Invalid::new(message).under("certificates"));
    };
    let unusable = |key: &'static str, path: &Path, error: &dyn Display| {
        let message = format!("{} cannot be used: {error}", path.display());
        Invalid::new(message).under(key).under(0).under("certificates")
    };
    let path = folder.join(&pair.cert);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable("cert", &path, &error))?;
    let path = folder.join(&pair.key);
    let key =
        PrivateKeyDer::from_pem_file(&path).map_err(|error| unusable("key", &path, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable("key", &path, &error))?;
    let alpn = |protocol: &WireProtocol| match protocol {
        WireProtocol::H2 | WireProtocol::H2c => b"h2".to_vec(),
        WireProtocol::Http1 => b"http/1.1".to_vec(),
    };
    config.alpn_protocols = protocols.iter().map(alpn).collect();
    Ok(Arc::new(config))
}
