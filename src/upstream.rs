//! Services: backends and their endpoints, and which of them gets the next attempt.

mod address;
pub mod call;
mod failure;
pub mod health;
mod resolve;
#[cfg(test)]
pub(crate) mod scripted;

pub use address::{Address, InvalidAddress};
pub use failure::{Failure, classify};
pub use resolve::{Resolver, keep_resolved};

use http::HeaderValue;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN inside TLS, else with prior knowledge.
    H2,
}

/// A backend and its endpoints.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Whether the client's `Host` goes on to it.
    pub preserve_host: bool,
    /// Its endpoints; at least one.
    pub endpoints: Vec<Endpoint>,
}

/// One place where a service listens.
#[derive(Debug)]
pub struct Endpoint {
    /// The `Host` that it is asked for, unless the client's is preserved.
    pub host: HeaderValue,
    /// Where it is.
    pub address: Resolver,
    /// The peer to connect to, complete but for an address that was resolved since.
    template: HttpPeer,
}

impl Endpoint {
    /// An endpoint at `address`, with TLS if there is a name to ask for (`sni`).
    pub fn new(address: Address, host: HeaderValue, sni: Option<&str>, protocol: Protocol) -> Self {
        let tls = sni.is_some();
        let mut template = address.template(tls, sni.unwrap_or_default());
        if protocol == Protocol::H2 {
            template.options.set_http_version(2, 2);
            // The default is one stream a connection, which would be HTTP/1.1 with more bytes.
            template.options.max_h2_streams = 100;
        }
        Endpoint { host, address: Resolver::new(address), template }
    }

    /// The peer for one attempt at an address of its.
    pub fn peer(&self, address: SocketAddr, timeouts: &Timeouts, budget: Budget) -> HttpPeer {
        let mut peer = self.template.clone();
        peer._address = address;
        let connect = budget.cap(timeouts.connect);
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = Some(budget.cap(timeouts.read));
        peer.options.write_timeout = Some(budget.cap(timeouts.write));
        peer.options.idle_timeout = Some(timeouts.idle);
        peer
    }
}

impl Service {
    /// Picks an endpoint, by its number, and an address of its for a turn: round robin over those
    /// that have one.
    pub fn pick(&self, turn: usize) -> Option<(usize, SocketAddr)> {
        let count = self.endpoints.len();
        (turn..turn + count).find_map(|turn| {
            let number = turn % count;
            Some((number, self.endpoints[number].address.address(turn / count)?))
        })
    }

    /// How many turns it takes to come round to the same address.
    pub fn turns(&self) -> usize {
        let most = self.endpoints.iter().map(|endpoint| endpoint.address.count()).max();
        self.endpoints.len() * most.unwrap_or(0)
    }
}

/// How long an exchange and its attempts may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The whole exchange.
    pub request: Option<Duration>,
    /// Connecting.
    pub connect: Duration,
    /// Each wait for the service to send something.
    pub read: Duration,
    /// Each wait for the service to take something.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            request: None,
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}

/// What is left of the time that a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget(Option<Duration>);

impl Budget {
    /// What is left at `now` of a request that must be over at `deadline`.
    pub fn left(deadline: Option<Instant>, now: Instant) -> Self {
        Budget(deadline.map(|deadline| deadline.saturating_duration_since(now)))
    }

    /// A wait that does not outlast the budget.
    fn cap(self, wait: Duration) -> Duration {
        self.0.map_or(wait, |left| left.min(wait))
    }
}
