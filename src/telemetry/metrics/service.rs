//! What is counted about a service's answers and failures.

use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::Metrics;
use super::cause::Causes;

/// The handles of one service on one worker.
pub struct ServiceMetrics {
    duration: Histogram,
    failed: Causes<{ UpstreamError::Other as usize + 1 }>,
    retried: IntCounter,
    not_retried: Causes<REASONS>,
    hedged: Causes<{ Hedged::Neither as usize + 1 }>,
}

/// How many reasons there are not to try again.
pub const REASONS: usize = 8;

impl ServiceMetrics {
    pub(super) fn new(metrics: &Metrics, service: &str) -> ServiceMetrics {
        ServiceMetrics {
            duration: metrics.upstream_duration.with_label_values(&[service]),
            failed: Causes::new(&metrics.upstream_errors, service),
            retried: metrics.retries.with_label_values(&[service]),
            not_retried: Causes::new(&metrics.not_retried, service),
            hedged: Causes::new(&metrics.hedges, service),
        }
    }

    /// Counts an answer and the time that the service took for it.
    pub fn answered(&self, upstream: Duration) {
        self.duration.observe(upstream.as_secs_f64());
    }

    /// Counts an attempt that brought no usable answer.
    pub fn failed(&self, cause: UpstreamError) {
        self.failed.count(cause as usize, cause.as_str());
    }

    /// Counts an attempt that is made again.
    pub fn retried(&self) {
        self.retried.inc();
    }

    /// Counts an attempt that would have been made again, but for the reason of this number and
    /// name.
    pub fn not_retried(&self, number: usize, reason: &'static str) {
        self.not_retried.count(number, reason);
    }

    /// Counts an exchange with two attempts under way at once.
    pub fn hedged(&self, outcome: Hedged) {
        self.hedged.count(outcome as usize, outcome.as_str());
    }
}

/// Whose answer was used of two attempts that were under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// The first one's.
    First,
    /// The second one's.
    Second,
    /// Both failed, or the client left.
    Neither,
}

impl Hedged {
    /// Returns the value of the `outcome` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Hedged::First => "first",
            Hedged::Second => "second",
            Hedged::Neither => "neither",
        }
    }
}

/// Why an attempt at a service failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    /// The endpoint refused the connection or could not be reached.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The TLS handshake with the endpoint failed.
    Tls,
    /// The endpoint's name did not resolve.
    Resolve,
    /// The endpoint did not send in time.
    ReadTimeout,
    /// The endpoint did not take what was sent in time.
    WriteTimeout,
    /// The endpoint reset the connection or closed it early.
    Closed,
    /// The answer was not valid HTTP.
    Protocol,
    /// The request's whole time was used up.
    Deadline,
    /// Anything else.
    Other,
}

impl UpstreamError {
    /// Returns the value of the `cause` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            UpstreamError::Connect => "connect",
            UpstreamError::ConnectTimeout => "connect_timeout",
            UpstreamError::Tls => "tls",
            UpstreamError::Resolve => "resolve",
            UpstreamError::ReadTimeout => "read_timeout",
            UpstreamError::WriteTimeout => "write_timeout",
            UpstreamError::Closed => "closed",
            UpstreamError::Protocol => "protocol",
            UpstreamError::Deadline => "deadline",
            UpstreamError::Other => "other",
        }
    }
}
