//! Outlier detection: an endpoint where requests fail gets none for a while.
//!
//! The semantics are Envoy's where they could be. Answers of 5xx and attempts without an answer are
//! counted apart, and what comes in a row ejects at once; the share of requests that succeed is
//! looked at once an interval. An endpoint is ejected for `eject_for` times the number of its
//! ejections, of which each interval without one forgives one.
//!
//! Unlike Envoy's, the bound on how many are ejected holds at any time, also when endpoints go: those
//! that would be back soonest are back at once. There the share counts as it was when an endpoint
//! was ejected.
//!
//! A worker notes results in an endpoint's [`Tally`], and wakes the keeper when a limit is reached.
//! The keeper, on the main thread, owns [`Ejections`] and decides.

mod config;
mod ejections;
mod tally;
#[cfg(test)]
mod tests;

pub use config::{Config, Limits, Settings, SuccessRate};
pub use ejections::{Change, Ejections};
pub use tally::Tally;

use std::fmt;

/// Why an endpoint was ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too many answers with a status of 5xx came in a row.
    Consecutive5xx {
        /// How many.
        count: u64,
    },
    /// Too many attempts in a row got no answer.
    ConsecutiveFailures {
        /// How many.
        count: u64,
    },
    /// Too small a share of the requests of an interval succeeded.
    SuccessRate {
        /// How many succeeded.
        succeeded: u64,
        /// Of how many.
        requests: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Consecutive5xx { count } => write!(f, "{count} answers of 5xx in a row"),
            Reason::ConsecutiveFailures { count } => write!(f, "{count} failures in a row"),
            Reason::SuccessRate { succeeded, requests } => {
                write!(f, "only {succeeded} of {requests} requests succeeded")
            }
        }
    }
}
