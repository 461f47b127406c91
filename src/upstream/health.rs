//! Active health checks: the gateway asks each endpoint by itself whether it is well, so that a
//! request need not find out.
//!
//! What an answer means for an endpoint is pure (`standing.rs`); asking is one file for HTTP and
//! TCP (`probe.rs`) and one for gRPC's own protocol (`grpc.rs`); `keeper.rs` asks again and again.

mod error;
mod grpc;
mod keeper;
mod probe;
mod standing;
#[cfg(test)]
mod tests;

pub use error::CheckError;
pub use keeper::{Subject, Verdict, keep_checked};
pub use probe::{HttpProbe, Probe};
pub use standing::{Change, Standing, State, Thresholds};

use crate::value::Percent;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::upstreams::peer::HttpPeer;
use std::time::Duration;

/// How a service's endpoints are checked.
#[derive(Debug, Clone)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// The port that is asked, where it is not the endpoint's own.
    pub port: Option<u16>,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// How much of the interval chance may add or take away.
    pub jitter: Percent,
    /// How long one check may take in all.
    pub timeout: Duration,
    /// How many verdicts change an endpoint's standing.
    pub thresholds: Thresholds,
}

impl Check {
    /// Returns how long to wait for the first check, for a `chance` from 0 to 1: a new endpoint is
    /// asked within the time that jitter gives, since nobody knows yet whether it is well. One
    /// whose standing is known waits its turn in the interval.
    fn first_pause(&self, standing: Standing, chance: f64) -> Duration {
        match standing.state() {
            State::Unknown => self.interval.mul_f64(self.jitter.ratio() * chance),
            State::Healthy | State::Unhealthy => self.interval.mul_f64(chance),
        }
    }

    /// Returns how long to wait from the start of one check to the start of the next, for a
    /// `chance` from 0 to 1.
    fn pause(&self, chance: f64) -> Duration {
        self.interval.mul_f64(1.0 + self.jitter.ratio() * (2.0 * chance - 1.0))
    }

    /// Returns the peer that is asked for an endpoint. A Unix socket has no port to change.
    fn peer(&self, endpoint: &HttpPeer) -> HttpPeer {
        let mut peer = endpoint.clone();
        if let (Some(port), SocketAddr::Inet(address)) = (self.port, &mut peer._address) {
            address.set_port(port);
        }
        // The time of the whole check is the only one that counts.
        peer.options.connection_timeout = None;
        peer.options.total_connection_timeout = None;
        peer.options.read_timeout = None;
        peer.options.write_timeout = None;
        // Long enough for the next check to find the connection, so that a thousand endpoints do
        // not mean a thousand handshakes in each interval.
        peer.options.idle_timeout = Some(self.interval.saturating_mul(2));
        // A connection of HTTP/2 that died silently would otherwise be asked, and time out, until the
        // kernel gives it up after a quarter of an hour.
        peer.options.h2_ping_interval = Some(self.interval);
        if let Probe::Grpc { .. } = self.probe {
            peer.options.set_http_version(2, 2);
        }
        peer
    }
}
