//! What a breaker decides by, one event after the other: the state machine without its threads.
//!
//! It lies under a lock. That is taken when something failed, while the circuit is half-open, and
//! when it changes: never for a request that passes a closed circuit and succeeds, nor for one that
//! an open circuit refuses.

use super::window::Window;
use super::{Change, Reason, Settings};
use std::time::Duration;

/// When to ask again while the probes are under way: nobody knows when they will be answered.
pub(super) const PROBING: Duration = Duration::from_secs(1);

/// The state and what leads to the next one. Times are nanoseconds since the breaker began.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What it does with requests.
    pub(super) phase: Phase,
    /// How often the phase has changed. What was let in before the last change says nothing about
    /// the service as it is now, and is not counted.
    pub(super) generation: u64,
    /// How many probes are under way, also those of an earlier phase, which burden the service too.
    probing: u32,
    /// The failures of a closed circuit.
    failures: Window,
    /// How often it has opened.
    pub(super) opened: u64,
    /// Why it opened last.
    pub(super) reason: Option<Reason>,
}

/// What a breaker does with requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It lets them pass.
    #[default]
    Closed,
    /// It refuses them until then.
    Open {
        /// When it lets the first probe in.
        until: u64,
    },
    /// It lets some in, to see how they fare.
    HalfOpen {
        /// How many have succeeded in a row.
        succeeded: u32,
    },
}

/// That a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// In which generation it began.
    pub(super) generation: u64,
    /// Whether it is a probe.
    pub(super) is_probe: bool,
}

impl Ledger {
    /// Lets a request in, or says when to ask again.
    pub(super) fn enter(&mut self, settings: &Settings, at: u64) -> Result<Entry, Duration> {
        if let Phase::Open { until } = self.phase {
            if at < until {
                return Err(Duration::from_nanos(until - at));
            }
            self.turn(Phase::HalfOpen { succeeded: 0 });
        }
        let is_probe = self.phase != Phase::Closed;
        if is_probe {
            if self.is_full(settings) {
                return Err(PROBING.min(settings.open_for));
            }
            self.probing += 1;
        }
        Ok(Entry { generation: self.generation, is_probe })
    }

    /// Whether no further probe may be under way.
    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        self.probing >= settings.probes
    }

    /// A probe is over, however it went.
    pub(super) fn give_back(&mut self) {
        self.probing -= 1;
    }

    /// A probe of the present half-open phase succeeded; it has been given back.
    pub(super) fn probe_succeeded(&mut self, settings: &Settings) -> Option<Change> {
        let Phase::HalfOpen { succeeded } = &mut self.phase else {
            return None;
        };
        *succeeded += 1;
        if *succeeded < settings.successes {
            return None;
        }
        self.failures.clear();
        self.turn(Phase::Closed);
        Some(Change::Closed)
    }

    /// A request of the present phase failed. Successes are counted elsewhere, and are only asked
    /// for where they matter.
    pub(super) fn failed(
        &mut self,
        settings: &Settings,
        at: u64,
        successes: impl FnOnce(u64) -> u64,
    ) -> Option<Change> {
        let reason = match self.phase {
            Phase::Open { .. } => return None,
            Phase::HalfOpen { .. } => Reason::Probe,
            Phase::Closed => {
                let step = settings.step(at);
                self.failures.count(step);
                let failures = self.failures.sum(step);
                settings.judge(failures, || successes(step))?
            }
        };
        self.turn(Phase::Open { until: at.saturating_add(super::nanos(settings.open_for)) });
        self.opened += 1;
        self.reason = Some(reason);
        Some(Change::Opened(reason))
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}
