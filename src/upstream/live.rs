//! What is known of an endpoint while it serves.
//!
//! Workers count here what they see of it, without a lock; the keeper alone decides from that, and
//! from what the health checks say, whether it can serve.

use super::balance::Latency;
use super::breaker::{self, Breaker};
use super::health::{Standing, Verdict};
use super::outlier::{self, Tally};
use super::padded::Padded;
use crate::lock::lock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

/// What is watched of each endpoint of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guards {
    /// When one is ejected.
    pub outlier: Option<outlier::Settings>,
    /// When the circuit of one opens, where each has its own.
    pub breaker: Option<breaker::Settings>,
}

/// What is known of an endpoint while it serves.
#[derive(Debug)]
pub struct Live {
    /// What its workers have seen in a row, where that may eject it.
    pub tally: Option<Tally>,
    /// Its own circuit, where each endpoint has one.
    pub breaker: Option<Breaker>,
    guards: Guards,
    latency: Latency,
    in_flight: Padded<AtomicU32>,
    /// Those of all endpoints of its service together.
    of_service: Arc<Padded<AtomicU64>>,
    kept: Mutex<Kept>,
}

/// What the keeper knows of it.
#[derive(Debug, Clone)]
struct Kept {
    up: Up,
    /// Until when it is ejected, if it is.
    ejected: Option<Instant>,
    /// What the checks say of it.
    health: Standing,
    /// The last check, if there was one.
    checked: Option<Checked>,
}

/// What a health check found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// When it began.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did, in words for operators.
    pub failure: Option<String>,
}

/// Whether an endpoint can serve. The keeper alone asks.
#[derive(Debug, Clone, Copy)]
enum Up {
    /// It could when the gateway began.
    Always,
    /// Since then.
    Since(Instant),
    /// It cannot.
    Down,
}

impl Live {
    /// An endpoint that is seen for the first time; `is_new` where others were there before it.
    pub(super) fn new(
        guards: &Guards,
        workers: usize,
        of_service: &Arc<Padded<AtomicU64>>,
        is_new: bool,
        now: Instant,
    ) -> Self {
        let breaker = |settings: &breaker::Settings| Breaker::new(settings.clone(), workers, now);
        Live {
            tally: guards.outlier.as_ref().map(|settings| Tally::new(settings, workers)),
            breaker: guards.breaker.as_ref().map(breaker),
            guards: guards.clone(),
            latency: Latency::new(now),
            in_flight: Padded::default(),
            of_service: Arc::clone(of_service),
            kept: Mutex::new(Kept {
                up: if is_new { Up::Since(now) } else { Up::Always },
                ejected: None,
                health: Standing::default(),
                checked: None,
            }),
        }
    }

    /// Whether it is watched as it should be.
    pub(super) fn is_watched_by(&self, guards: &Guards) -> bool {
        self.guards == *guards
    }

    /// How many attempts are in flight at it.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How long it took of late.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.of_service.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.of_service.fetch_sub(1, Relaxed);
    }

    /// Whether the health checks say that it can serve, or nothing yet.
    pub fn is_healthy(&self) -> bool {
        self.health().is_available()
    }

    /// What the health checks say.
    pub fn health(&self) -> Standing {
        self.kept().health
    }

    /// The last health check, if there was one.
    pub fn checked(&self) -> Option<Checked> {
        self.kept().checked.clone()
    }

    /// Takes what a health check says; whether that changes anything.
    pub(super) fn take(&self, verdict: &Verdict) -> bool {
        let failure = verdict.failure.as_ref().map(ToString::to_string);
        let mut kept = self.kept();
        kept.health = verdict.standing;
        kept.checked = Some(Checked { at: verdict.at, took: verdict.took, failure });
        verdict.change.is_some()
    }

    /// Forgets what the checks said, where there are none any more.
    pub(super) fn forget_health(&self) {
        let mut kept = self.kept();
        kept.health = Standing::default();
        kept.checked = None;
    }

    /// Until when it is ejected, if it is.
    pub fn ejected(&self) -> Option<Instant> {
        self.kept().ejected
    }

    /// Says until when it is ejected, if it is; then whether it can serve is settled.
    pub(super) fn set_ejected(&self, until: Option<Instant>, now: Instant) {
        let is_healthy = self.is_healthy();
        let mut kept = self.kept();
        kept.ejected = until;
        kept.up = match (kept.up, is_healthy && until.is_none()) {
            (_, false) => Up::Down,
            (Up::Down, true) => Up::Since(now),
            (up, true) => up,
        };
    }

    /// For how long it has been able to serve; none where it cannot.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        match self.kept().up {
            Up::Always => Some(Duration::MAX),
            Up::Since(since) => Some(now.saturating_duration_since(since)),
            Up::Down => None,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}
