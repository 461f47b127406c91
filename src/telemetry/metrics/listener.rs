//! What is counted about a listener's connections.

use prometheus::{IntCounter, IntGauge};

use super::Metrics;
use super::cause::Causes;

/// The handles of one listener on one worker.
pub struct ListenerMetrics {
    open: IntGauge,
    accepted: IntCounter,
    refused: Causes<{ Refused::Accept as usize + 1 }>,
}

impl ListenerMetrics {
    pub(super) fn new(metrics: &Metrics, listener: &str) -> ListenerMetrics {
        ListenerMetrics {
            open: metrics.connections_open.with_label_values(&[listener]),
            accepted: metrics.connections.with_label_values(&[listener]),
            refused: Causes::new(&metrics.connections_refused, listener),
        }
    }

    /// Counts a connection that was accepted; each needs its [`ListenerMetrics::closed`].
    pub fn opened(&self) {
        self.accepted.inc();
        self.open.inc();
    }

    /// Counts the end of a connection that was [`ListenerMetrics::opened`].
    pub fn closed(&self) {
        self.open.dec();
    }

    /// Counts a connection that was refused, or cut before it carried a whole request.
    pub fn refused(&self, cause: Refused) {
        self.refused.count(cause as usize, cause.as_str());
    }
}

/// Why a connection was refused or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The listener had as many connections as it may.
    Limit,
    /// The request head did not arrive in time.
    HeadTimeout,
    /// The TLS handshake did not end in time.
    HandshakeTimeout,
    /// The TLS handshake failed.
    Handshake,
    /// The request head could not be parsed, so that no route saw it.
    MalformedHead,
    /// The system could not accept the connection.
    Accept,
}

impl Refused {
    /// Returns the value of the `cause` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::Limit => "limit",
            Refused::HeadTimeout => "head_timeout",
            Refused::HandshakeTimeout => "handshake_timeout",
            Refused::Handshake => "handshake",
            Refused::MalformedHead => "malformed_head",
            Refused::Accept => "accept",
        }
    }
}
