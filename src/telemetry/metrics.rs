//! One worker's metrics.
//!
//! The gateway runs one thread per core, and counters that all threads share would
//! bounce their cache lines between the cores on every request. Each worker therefore
//! owns a registry with every family in it, and [`super::exposition`] adds them up when
//! somebody scrapes.
//!
//! Handles ([`RouteMetrics`], [`MirrorMetrics`], [`ServiceMetrics`], [`ListenerMetrics`]) are resolved when a
//! configuration is adopted, preferably on the worker's own thread, so that its allocator
//! keeps them off other workers' cache lines. Their labels come from the configuration
//! and from closed sets, so a client cannot make the families grow.

mod authentication;
mod cause;
mod listener;
mod mirror;
mod route;
mod service;
#[cfg(test)]
mod tests;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

pub use authentication::{Proof, Way};
pub use listener::{ListenerMetrics, Refused};
pub use mirror::{Compared, MirrorMetrics, Mirrored};
pub use route::{Finished, RouteMetrics};
pub use service::{Hedged, REASONS as NOT_RETRIED_REASONS, ServiceMetrics, UpstreamError};

/// The `route` label of requests that no route matched.
pub const UNMATCHED: &str = "unmatched";

/// Upper bounds, in seconds, for whole requests and for upstream answers.
const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds, in seconds, for the gateway's own share of a request.
const OVERHEAD_BUCKETS: [f64; 12] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.1,
];

/// The registry and families of one worker.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    overhead: HistogramVec,
    upstream_duration: HistogramVec,
    request_bytes: IntCounterVec,
    response_bytes: IntCounterVec,
    authentications: IntCounterVec,
    rate_limited: IntCounterVec,
    upstream_errors: IntCounterVec,
    retries: IntCounterVec,
    not_retried: IntCounterVec,
    hedges: IntCounterVec,
    mirror_requests: IntCounterVec,
    mirror_comparisons: IntCounterVec,
    connections_open: IntGaugeVec,
    connections: IntCounterVec,
    connections_refused: IntCounterVec,
}

impl Metrics {
    /// Creates a registry with every family in it and no samples yet.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let histogram = |name, help, labels: &[&str], buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(&registry, HistogramVec::new(opts, labels))
        };
        Metrics {
            requests: counter(
                "gateway_requests_total",
                "Requests finished, also those that the gateway answered itself.",
                &["method", "route", "status_code"],
            ),
            request_duration: histogram(
                "gateway_request_duration_seconds",
                "Time from the request head to the end of the response.",
                &["method", "route", "status_code"],
                &DURATION_BUCKETS,
            ),
            overhead: histogram(
                "gateway_overhead_seconds",
                "The gateway's own share of a request's time.",
                &["route"],
                &OVERHEAD_BUCKETS,
            ),
            upstream_duration: histogram(
                "gateway_upstream_duration_seconds",
                "Time that a service took to answer.",
                &["service"],
                &DURATION_BUCKETS,
            ),
            request_bytes: counter(
                "gateway_request_bytes_total",
                "Body bytes received from clients.",
                &["route"],
            ),
            response_bytes: counter(
                "gateway_response_bytes_total",
                "Body bytes sent to clients.",
                &["route"],
            ),
            authentications: counter(
                "gateway_authentications_total",
                "Requests whose client had to show who it is, by the way and how it went.",
                &["route", "way", "outcome"],
            ),
            rate_limited: counter(
                "gateway_rate_limited_requests_total",
                "Requests that a limit has refused, by client: those refused most by name, all \
                 others as `other`.",
                &["client_id", "route"],
            ),
            upstream_errors: counter(
                "gateway_upstream_errors_total",
                "Attempts at a service that failed.",
                &["service", "cause"],
            ),
            retries: counter(
                "gateway_upstream_retries_total",
                "Attempts that were made again.",
                &["service"],
            ),
            not_retried: counter(
                "gateway_upstream_not_retried_total",
                "Attempts that failed in a way that is retried, and were not, by reason.",
                &["service", "reason"],
            ),
            hedges: counter(
                "gateway_upstream_hedges_total",
                "Second attempts made beside a slow first one, by the one whose answer was used.",
                &["service", "outcome"],
            ),
            mirror_requests: counter(
                "gateway_mirror_requests_total",
                "Requests chosen to be mirrored, by what became of the copy.",
                &["route", "outcome"],
            ),
            mirror_comparisons: counter(
                "gateway_mirror_comparisons_total",
                "Answers of mirrors compared with those that clients got, by result.",
                &["route", "result"],
            ),
            connections_open: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("gateway_connections_open", "Client connections open now."),
                    &["listener"],
                ),
            ),
            connections: counter(
                "gateway_connections_total",
                "Client connections accepted.",
                &["listener"],
            ),
            connections_refused: counter(
                "gateway_connections_refused_total",
                "Client connections refused or cut, by cause.",
                &["listener", "cause"],
            ),
            registry,
        }
    }

    /// Resolves the handles of one route; call it when a configuration is adopted.
    ///
    /// Asking twice for a name continues the same counts, so a reload resets nothing.
    pub fn route(&self, route: &str) -> RouteMetrics {
        RouteMetrics::new(self, route)
    }

    /// Resolves the handles of one route that is mirrored; call it when a configuration is adopted.
    pub fn mirror(&self, route: &str) -> MirrorMetrics {
        MirrorMetrics::new(self, route)
    }

    /// Resolves the handles of one service; call it when a configuration is adopted.
    pub fn service(&self, service: &str) -> ServiceMetrics {
        ServiceMetrics::new(self, service)
    }

    /// Resolves the handles of one listener; call it when the listener opens.
    pub fn listener(&self, listener: &str) -> ListenerMetrics {
        ListenerMetrics::new(self, listener)
    }

    /// Returns this worker's registry, for [`super::exposition::render`].
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// Registers a family that code names, in a registry that code fills.
pub(crate) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: prometheus::Result<C>,
) -> C {
    let family = family.expect("family names, labels and buckets are constants");
    registry
        .register(Box::new(family.clone()))
        .expect("each family is registered once in a fresh registry");
    family
}
