//! The leave that one request has, and what became of it.

use super::circuit::Seat;
use super::{Change, ledger::Entry};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The leave to ask the service once. It wants to hear of the outcome; if it is dropped, the
/// outcome counts as neither, as when the client went away, and a probe's place is free again.
///
/// It may be kept for as long as the request takes: it holds what its worker alone counts
/// references to, so that no two workers write the same cache line for it.
#[derive(Debug)]
#[must_use = "a pass that is dropped at once says nothing about the service"]
pub struct Pass {
    seat: Arc<Seat>,
    generation: u64,
    /// Whether it takes the place of a probe, which it has to give back.
    is_probe: bool,
}

impl Pass {
    pub(super) fn new(seat: &Arc<Seat>, entry: Entry) -> Self {
        let Entry { generation, is_probe } = entry;
        Pass { seat: Arc::clone(seat), generation, is_probe }
    }

    /// Whether it is one of the few that a half-open circuit lets in.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Tells that the service answered, and how long it took. An answer slower than `slow_after` is
    /// a failure. Returns what that changed.
    pub fn succeeded(mut self, now: Instant, took: Duration) -> Option<Change> {
        let is_probe = std::mem::take(&mut self.is_probe);
        let circuit = &self.seat.circuit;
        if circuit.is_slow(took) {
            circuit.failed(self.generation, is_probe, now)
        } else if is_probe {
            circuit.probe_succeeded(self.generation)
        } else {
            circuit.succeeded(self.seat.worker, self.generation, now);
            None
        }
    }

    /// Tells that the service failed: it could not be reached, did not answer in time, broke off,
    /// or answered that it cannot serve. Returns what that changed.
    pub fn failed(mut self, now: Instant) -> Option<Change> {
        let is_probe = std::mem::take(&mut self.is_probe);
        self.seat.circuit.failed(self.generation, is_probe, now)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_probe {
            self.seat.circuit.give_back();
        }
    }
}
