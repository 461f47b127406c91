//! One place where a service listens, and what is known of it while it serves.
//!
//! An [`Endpoint`] says what was found of it and never changes. What changes while it serves is its
//! [`Live`] part, which is kept under its [`key`](Endpoint::key) when the endpoint is described anew:
//! by discovery, with another weight, or by a reload.

use super::balance::{Candidate, Latency};
use super::discovery::Found;
use super::{Address, Budget, Live, Protocol, Timeouts};
use http::HeaderValue;
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;

/// How many requests one HTTP/2 connection carries at once.
const STREAMS: usize = 100;

/// What is the same for all endpoints of a service.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// How they are spoken to.
    pub protocol: Protocol,
    /// Whether gRPC is spoken, so that its statuses are understood.
    pub is_grpc: bool,
    /// Whether inside TLS.
    pub tls: bool,
    /// The name that TLS asks for, if it is not the endpoint's own.
    pub sni: Option<String>,
}

/// One place where a service listens.
#[derive(Debug)]
pub struct Endpoint {
    /// What it is called: its address, after the name that it was found by, if it was.
    pub key: Box<str>,
    /// Its address, as a log has it.
    pub address: Box<str>,
    /// The `Host` that it is asked for, unless the client's is preserved.
    pub host: HeaderValue,
    /// Its share of the requests, beside the others' weights.
    pub weight: u32,
    /// The group that it belongs to: lower numbers serve first.
    pub priority: u8,
    /// What is known of it while it serves.
    pub live: Arc<Live>,
    /// The peer to connect to.
    template: HttpPeer,
}

/// An attempt that is in flight at an endpoint; over when it is dropped, even by a panic.
#[derive(Debug)]
pub struct Occupied(Arc<Endpoint>);

impl Endpoint {
    /// An endpoint at a place, which was found by a name or is called by its address.
    pub fn new(found: &Found, blueprint: &Blueprint, live: Arc<Live>) -> Self {
        let Blueprint { protocol, tls, sni, .. } = blueprint;
        let named = named(found);
        let authority = named.authority();
        let standard = if *tls { ":443" } else { ":80" };
        // RFC 9110 §4.2.3: the scheme's own port is left out.
        let host = authority.strip_suffix(standard).unwrap_or(&authority);
        let sni = sni.clone().unwrap_or_else(|| named.server_name());
        let mut template = found.address.template(*tls, if *tls { &sni } else { "" });
        if *protocol == Protocol::H2 {
            template.options.set_http_version(2, 2);
            // The default is one stream a connection, which would be HTTP/1.1 with more bytes.
            template.options.max_h2_streams = STREAMS;
        }
        Endpoint {
            key: key(found),
            address: found.address.to_string().into(),
            host: HeaderValue::from_str(host)
                .expect("an address is made of characters that a header value may have"),
            weight: found.weight,
            priority: found.priority,
            live,
            template,
        }
    }

    /// The peer for one attempt.
    pub fn peer(&self, timeouts: &Timeouts, budget: Budget) -> HttpPeer {
        let mut peer = self.template.clone();
        let connect = budget.cap(timeouts.connect);
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = Some(budget.cap(timeouts.read));
        peer.options.write_timeout = Some(budget.cap(timeouts.write));
        peer.options.idle_timeout = Some(timeouts.idle);
        peer
    }

    /// The peer as it is before an attempt's times are set.
    pub fn template(&self) -> &HttpPeer {
        &self.template
    }

    /// Counts an attempt, for as long as what is returned lives.
    pub fn occupy(self: Arc<Self>) -> Occupied {
        self.live.enter();
        Occupied(self)
    }
}

impl Candidate for Endpoint {
    fn in_flight(&self) -> u32 {
        self.live.in_flight()
    }

    fn latency(&self) -> &Latency {
        self.live.latency()
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.live.leave();
    }
}

/// What an endpoint is called: its address, after the name that it was found by.
pub(super) fn key(found: &Found) -> Box<str> {
    match &found.name {
        Some(name) => format!("{name}@{}", found.address).into(),
        None => found.address.to_string().into(),
    }
}

/// The address of an endpoint as a client would name it.
fn named(found: &Found) -> Address {
    match (&found.name, &found.address) {
        (Some(name), Address::Ip(address)) => Address::Name(name.to_string(), address.port()),
        (_, address) => address.clone(),
    }
}
