//! The circuit breaker: after too many failures nobody asks the service for a while, so that it can
//! recover and nobody waits for it; then a few requests find out whether it has.
//!
//! It is Nygard's pattern ("Release It!", 2007) with a window of time. A circuit is *closed* while
//! requests pass. It *opens* when there were too many failures, or too large a share of them, within
//! the window. When it has been open for its time it is *half-open*: it lets a few probes in at
//! once. So many successes in a row close it, and one failure opens it again.
//!
//! The time for which it is open does not grow with repetition: while it is half-open the service is
//! asked `probes` requests at a time and no more, so there is little to spare it, and one that is
//! back should not have to wait for minutes.
//!
//! All workers share a breaker. A request that passes a closed circuit reads one word that nobody
//! writes; where a rate is asked for, its success is counted in its worker's own cache line, and
//! added up with the others' when something fails. So a share is looked at when a failure comes, not
//! when a success makes the number of requests large enough.

mod circuit;
mod ledger;
mod pass;
#[cfg(test)]
mod tests;
mod window;

pub use pass::Pass;

use crate::value::Percent;
use circuit::{Circuit, Does, Seat};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a circuit opens, and when it closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many failures within the window open it.
    pub failures: Option<u32>,
    /// Which share of the requests within the window opens it when it fails.
    pub failure_rate: Option<FailureRate>,
    /// For how long an outcome counts: at least so long, and at most a tenth longer.
    pub window: Duration,
    /// How long it refuses before it lets a probe in.
    pub open_for: Duration,
    /// How many probes must succeed in a row for it to close; at least one.
    pub successes: u32,
    /// How many probes may be under way at once; at least one.
    pub probes: u32,
    /// How slow an answer must be to count as a failure.
    pub slow_after: Option<Duration>,
}

/// A share of failures that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureRate {
    /// The smallest share that opens the circuit.
    pub share: Percent,
    /// How many requests the window must hold for the share to mean something.
    pub min_requests: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            failures: Some(5),
            failure_rate: None,
            window: Duration::from_secs(60),
            open_for: Duration::from_secs(30),
            successes: 3,
            probes: 1,
            slow_after: None,
        }
    }
}

impl Settings {
    /// The number of a sub-bucket of the window.
    fn step(&self, at: u64) -> u64 {
        at / (nanos(self.window) / window::STEPS).max(1)
    }

    /// Whether so many failures are too many.
    fn judge(&self, failures: u64, successes: impl FnOnce() -> u64) -> Option<Reason> {
        if self.failures.is_some_and(|most| failures >= u64::from(most)) {
            return Some(Reason::Failures { failures });
        }
        let FailureRate { share, min_requests } = self.failure_rate?;
        let requests = failures + successes();
        (requests >= u64::from(min_requests) && share.is_reached(failures, requests))
            .then_some(Reason::FailureRate { failures, requests })
    }
}

/// What a circuit does with requests. Its number is what the metric shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It lets them pass: 0.
    Closed = 0,
    /// It lets a few in at once, or would if one came: 1.
    HalfOpen = 1,
    /// It refuses them: 2.
    Open = 2,
}

/// Why a circuit opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There were too many failures.
    Failures {
        /// How many the window held.
        failures: u64,
    },
    /// Too large a share of the requests failed.
    FailureRate {
        /// How many failures the window held.
        failures: u64,
        /// How many requests it held.
        requests: u64,
    },
    /// A probe failed.
    Probe,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Failures { failures } => write!(f, "{failures} requests failed"),
            Reason::FailureRate { failures, requests } => {
                write!(f, "{failures} of {requests} requests failed")
            }
            Reason::Probe => f.write_str("a probe failed"),
        }
    }
}

/// What the outcome of a request changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The circuit opened.
    Opened(Reason),
    /// The circuit closed.
    Closed,
}

/// That the circuit is open, or half-open with its probes under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the circuit is open")]
pub struct Open {
    /// When to ask again: what is left of the open time. A second at most while the probes are
    /// under way.
    pub retry_after: Duration,
}

/// A circuit breaker, shared by all workers.
#[derive(Debug)]
pub struct Breaker {
    circuit: Arc<Circuit>,
    seats: Box<[Arc<Seat>]>,
}

impl Breaker {
    /// Makes a closed circuit for so many workers.
    pub fn new(settings: Settings, workers: usize, now: Instant) -> Self {
        let workers = workers.max(1);
        let circuit = Arc::new(Circuit::new(settings, workers, now));
        let seats =
            (0..workers).map(|worker| Arc::new(Seat { circuit: Arc::clone(&circuit), worker }));
        Breaker { seats: seats.collect(), circuit }
    }

    /// What it goes by. A reload that brings the same may keep the breaker.
    pub fn settings(&self) -> &Settings {
        &self.circuit.settings
    }

    /// Asks leave for a request on a worker, by the worker's number. A number that is too large
    /// shares the counters of another worker.
    ///
    /// # Errors
    ///
    /// Refuses requests while the circuit is open, and while as many probes are under way as may be.
    pub fn admit(&self, worker: usize, now: Instant) -> Result<Pass, Open> {
        let seat = &self.seats[worker % self.seats.len()];
        match self.circuit.enter(seat.worker, now) {
            Ok(entry) => Ok(Pass::new(seat, entry)),
            Err(retry_after) => Err(Open { retry_after }),
        }
    }

    /// What it does with requests. An open circuit is half-open once its time has come, also if
    /// there was no request since.
    pub fn state(&self, now: Instant) -> State {
        match self.circuit.does(now).0 {
            Does::Pass => State::Closed,
            Does::Probe | Does::Wait => State::HalfOpen,
            Does::Refuse => State::Open,
        }
    }

    /// Whether it would let a request pass, or a probe. Asking takes nobody's place.
    pub fn lets_in(&self, now: Instant) -> bool {
        matches!(self.circuit.does(now).0, Does::Pass | Does::Probe)
    }

    /// How often it has opened, again after a failed probe included.
    pub fn opened_total(&self) -> u64 {
        self.circuit.ledger().opened
    }

    /// Why it opened last, if it ever has.
    pub fn last_reason(&self) -> Option<Reason> {
        self.circuit.ledger().reason
    }

    /// How many requests it has refused.
    pub fn refusals(&self) -> u64 {
        self.circuit.refusals()
    }
}

/// A time as the counters have it; five centuries are for ever.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
