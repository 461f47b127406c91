//! What is counted about a route's requests.
//!
//! Requests are counted by method and status, and which of these occur is known only
//! when they do. A route keeps a table with one page per method and class of status:
//! a page is allocated, and a sample resolved by its labels, on first use; from then on
//! counting is two array lookups. Only what really occurred is exported.

use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::authentication::Authentications;
use super::{Metrics, Proof, Way};

/// The nine standard methods, and the label that all others share.
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"];

/// Class 0 is for everything that is no status between 100 and 599.
const CLASSES: usize = 6;

/// How many statuses share a class, and a page.
const CLASS: usize = 100;

/// One request that has come to its end.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// What the client got; 499 or 0 when it left before there was an answer.
    pub status: u16,
    /// The time from the request head to the end of the response.
    pub duration: Duration,
    /// The part of it that the gateway itself took.
    pub overhead: Duration,
    /// The bytes of the request's body.
    pub bytes_in: u64,
    /// The bytes of the response's body.
    pub bytes_out: u64,
}

/// The handles of one route on one worker.
pub struct RouteMetrics {
    route: Box<str>,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    pages: [OnceLock<Page>; METHODS.len() * CLASSES],
    overhead: Histogram,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    authentications: Authentications,
    rate_limited: IntCounterVec,
}

type Page = Box<[OnceLock<Answers>; CLASS]>;

/// The samples of one method and status.
struct Answers {
    count: IntCounter,
    duration: Histogram,
}

impl RouteMetrics {
    pub(super) fn new(metrics: &Metrics, route: &str) -> RouteMetrics {
        RouteMetrics {
            route: route.into(),
            requests: metrics.requests.clone(),
            request_duration: metrics.request_duration.clone(),
            pages: [const { OnceLock::new() }; METHODS.len() * CLASSES],
            overhead: metrics.overhead.with_label_values(&[route]),
            bytes_in: metrics.request_bytes.with_label_values(&[route]),
            bytes_out: metrics.response_bytes.with_label_values(&[route]),
            authentications: Authentications::new(metrics, route),
            rate_limited: metrics.rate_limited.clone(),
        }
    }

    /// Counts a request that has come to its end, whoever answered it.
    pub fn finished(&self, finished: &Finished<'_>) {
        let answers = self.answers(finished.method, finished.status);
        answers.count.inc();
        answers.duration.observe(finished.duration.as_secs_f64());
        self.overhead.observe(finished.overhead.as_secs_f64());
        // Most requests have no body, and an atomic addition of nothing costs like any other.
        if finished.bytes_in > 0 {
            self.bytes_in.inc_by(finished.bytes_in);
        }
        self.bytes_out.inc_by(finished.bytes_out);
    }

    /// Counts how it was found out who is asking, or not.
    pub fn authenticated(&self, way: Option<Way>, proof: Proof) {
        self.authentications.count(way, proof);
    }

    /// Counts a request that a limit has refused, of a client that is not counted by name.
    pub fn rate_limited(&self) {
        self.rate_limited.with_label_values(&["other", &*self.route]).inc();
    }

    fn answers(&self, method: &Method, status: u16) -> &Answers {
        let method = method_index(method);
        let status = match status {
            100..=599 => usize::from(status),
            _ => 0,
        };
        let page = self.pages[method * CLASSES + status / CLASS]
            .get_or_init(|| Box::new([const { OnceLock::new() }; CLASS]));
        page[status % CLASS].get_or_init(|| {
            let status = status.to_string();
            let labels = [METHODS[method], &*self.route, &*status];
            Answers {
                count: self.requests.with_label_values(&labels),
                duration: self.request_duration.with_label_values(&labels),
            }
        })
    }
}

/// Returns the method's place in [`METHODS`].
fn method_index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::CONNECT => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 7,
        Method::PATCH => 8,
        _ => 9,
    }
}
