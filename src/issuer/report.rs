//! What is known of an issuer: for the admin listener, metrics, and the log.

use super::{Failure, Trouble};
use crate::lock::lock;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// How an issuer is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub issuer: Box<str>,
    /// How many of its keys are known.
    pub keys: usize,
    /// How often a key was lost or changed.
    pub generation: u64,
    /// When it last answered well, in seconds since 1970; none if it never did.
    pub succeeded: Option<u64>,
    /// What is wrong since then; none while all is well.
    pub trouble: Option<Trouble>,
    /// How many rounds of questions it has answered well.
    pub fetched: u64,
    /// How many it has not.
    pub failed: u64,
    /// How many requests wait for a key.
    pub waiting: usize,
}

/// What is counted of an issuer, or of a place that is asked about tokens.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) good: AtomicU64,
    pub(super) bad: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Last {
    pub(super) succeeded: Option<u64>,
    pub(super) trouble: Option<Trouble>,
}

impl Figures {
    /// Counts a success; whether there was trouble before.
    pub(super) fn succeeded(&self) -> bool {
        self.good.fetch_add(1, Relaxed);
        let mut last = lock(&self.last);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        last.succeeded = now.ok().map(|since| since.as_secs());
        last.trouble.take().is_some()
    }

    /// Counts a failure; whether it is the first of its kind.
    pub(super) fn failed(&self, failure: &Failure) -> bool {
        self.bad.fetch_add(1, Relaxed);
        lock(&self.last).trouble.replace(failure.trouble) != Some(failure.trouble)
    }

    pub(super) fn last(&self) -> Last {
        *lock(&self.last)
    }
}
