//! What the workers share of a breaker, and how little of it they touch.
//!
//! One word says what to do with a request, and the time until which an open circuit refuses lies
//! beside it. Both are written under the ledger's lock and read without it, relaxed: a reader that
//! sees the word of a moment ago does what it would have done a moment ago, and whatever changes
//! something is decided again under the lock.

use super::ledger::{Entry, Ledger, PROBING, Phase};
use super::window::Window;
use super::{Change, Settings, nanos};
use crate::lock::lock;
use crate::upstream::padded::Padded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What the workers share: a breaker without its seats.
#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) settings: Settings,
    began: Instant,
    gate: Padded<Gate>,
    ledger: Padded<Mutex<Ledger>>,
    tallies: Box<[Padded<Tally>]>,
}

/// What is read for each request.
#[derive(Debug, Default)]
struct Gate {
    /// The generation above two bits that say what to do.
    word: AtomicU64,
    /// Until when an open circuit refuses, in nanoseconds since it began.
    until: AtomicU64,
}

/// What one worker counts.
#[derive(Debug, Default)]
struct Tally {
    /// Requests that succeeded, where a rate is asked for.
    successes: Window,
    /// Requests that were refused.
    refusals: AtomicU64,
}

/// One worker's place. It has cache lines of its own, for the count of references to it changes
/// with each request.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Seat {
    pub(super) circuit: Arc<Circuit>,
    pub(super) worker: usize,
}

/// What to do with a request, as the word says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Let it pass.
    Pass = 0,
    /// Let it in as a probe.
    Probe = 1,
    /// Refuse it while it is not yet time.
    Refuse = 2,
    /// Refuse it, for the probes are under way.
    Wait = 3,
}

impl Does {
    fn of(word: u64) -> Self {
        match word & 0b11 {
            0 => Does::Pass,
            1 => Does::Probe,
            2 => Does::Refuse,
            _ => Does::Wait,
        }
    }
}

impl Circuit {
    pub(super) fn new(settings: Settings, workers: usize, now: Instant) -> Self {
        Circuit {
            settings,
            began: now,
            gate: Padded::default(),
            ledger: Padded::default(),
            tallies: (0..workers).map(|_| Padded::default()).collect(),
        }
    }

    /// Lets a request in, or says when to ask again.
    pub(super) fn enter(&self, worker: usize, now: Instant) -> Result<Entry, Duration> {
        let word = self.gate.word.load(Relaxed);
        if Does::of(word) == Does::Pass {
            return Ok(Entry { generation: word >> 2, is_probe: false });
        }
        let entry = match self.does(now) {
            (Does::Refuse, left) => Err(left),
            (Does::Wait, _) => Err(PROBING.min(self.settings.open_for)),
            (Does::Pass | Does::Probe, _) => {
                let mut ledger = self.ledger();
                let entry = ledger.enter(&self.settings, self.at(now));
                self.publish(&ledger);
                entry
            }
        };
        if entry.is_err() {
            self.tallies[worker].refusals.fetch_add(1, Relaxed);
        }
        entry
    }

    /// What happens to a request, and how long an open circuit still refuses.
    pub(super) fn does(&self, now: Instant) -> (Does, Duration) {
        let left = self.gate.until.load(Relaxed).saturating_sub(self.at(now));
        let does = match Does::of(self.gate.word.load(Relaxed)) {
            Does::Refuse if left == 0 => Does::Probe,
            does => does,
        };
        (does, Duration::from_nanos(left))
    }

    /// Whether an answer took too long.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        self.settings.slow_after.is_some_and(|limit| took > limit)
    }

    /// Counts a success of a closed circuit, if somebody will ask for it.
    pub(super) fn succeeded(&self, worker: usize, generation: u64, now: Instant) {
        if self.settings.failure_rate.is_some() && self.gate.word.load(Relaxed) >> 2 == generation {
            self.tallies[worker].successes.count(self.settings.step(self.at(now)));
        }
    }

    /// A probe succeeded.
    pub(super) fn probe_succeeded(&self, generation: u64) -> Option<Change> {
        let mut ledger = self.ledger();
        ledger.give_back();
        let is_current = ledger.generation == generation;
        let change = if is_current { ledger.probe_succeeded(&self.settings) } else { None };
        if change.is_some() {
            // The new window begins empty. A worker that counts an old success right now may leave
            // one behind, which is one among those of a whole window.
            self.tallies.iter().for_each(|tally| tally.successes.clear());
        }
        self.publish(&ledger);
        change
    }

    /// A request failed.
    pub(super) fn failed(&self, generation: u64, is_probe: bool, now: Instant) -> Option<Change> {
        // What began before the last change says nothing; a probe still has to give its place back.
        if !is_probe && self.gate.word.load(Relaxed) >> 2 != generation {
            return None;
        }
        let mut ledger = self.ledger();
        if is_probe {
            ledger.give_back();
        }
        let is_current = ledger.generation == generation;
        let successes = |step| self.tallies.iter().map(|tally| tally.successes.sum(step)).sum();
        let change =
            if is_current { ledger.failed(&self.settings, self.at(now), successes) } else { None };
        self.publish(&ledger);
        change
    }

    /// A probe ended without an outcome.
    pub(super) fn give_back(&self) {
        let mut ledger = self.ledger();
        ledger.give_back();
        self.publish(&ledger);
    }

    /// How many requests were refused.
    pub(super) fn refusals(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.refusals.load(Relaxed)).sum()
    }

    /// The ledger, for as long as a few additions take.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Says in the word what the ledger says.
    fn publish(&self, ledger: &Ledger) {
        let does = match ledger.phase {
            Phase::Closed => Does::Pass,
            Phase::Open { until } => {
                self.gate.until.store(until, Relaxed);
                Does::Refuse
            }
            Phase::HalfOpen { .. } if ledger.is_full(&self.settings) => Does::Wait,
            Phase::HalfOpen { .. } => Does::Probe,
        };
        let word = ledger.generation << 2 | does as u64;
        // A failure that changes nothing leaves the line to those who read it.
        if self.gate.word.load(Relaxed) != word {
            self.gate.word.store(word, Relaxed);
        }
    }

    fn at(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.began))
    }
}
