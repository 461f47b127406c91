//! How long an exchange and its attempts may take.

use http::HeaderName;
use std::time::{Duration, Instant};

/// How long an exchange and its attempts may take.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The field that tells the service how much is left of the exchange's time.
    pub budget_header: Option<HeaderName>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            request: None,
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            budget_header: None,
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

    /// What is left, where there is an end to it.
    pub fn get(self) -> Option<Duration> {
        self.0
    }

    /// The budget, but no more than so much.
    pub fn at_most(self, wait: Option<Duration>) -> Self {
        match wait {
            Some(wait) => Budget(Some(self.cap(wait))),
            None => self,
        }
    }

    /// A wait that does not outlast the budget, but for the last millisecond: Pingora's timer counts
    /// them whole, and a wait of none is one that it cannot round.
    pub fn cap(self, wait: Duration) -> Duration {
        self.0.map_or(wait, |left| left.min(wait)).max(Duration::from_millis(1))
    }
}
