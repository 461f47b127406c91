//! So many in any window, by an estimate from two fixed ones: the window that lies behind now is
//! taken to hold all of this fixed window, and of the previous one the share that it overlaps.
//! Cloudflare counts its limits so ("How we built rate limiting capable of scaling to millions of
//! domains", 2017). 16 bytes are kept of a caller, whatever the limit.
//!
//! The estimate assumes that the previous window's units were spread evenly over it. When a share
//! `e` of this window is over and `p` units were admitted in the previous one, the estimate counts
//! `p × (1 − e)` of them, and the truth is anything from 0 to `p`. So, with a limit `l`:
//!
//! - too many: a stretch of time as long as a window sees at most `l + p × e` units, where all of
//!   `p` came at the end of its window; as `p ≤ l`, that is less than `2 × l`;
//! - too few: a request is refused though up to `p × (1 − e)` units fewer than the limit were
//!   admitted, where all of `p` came at the beginning.
//!
//! Evenly spread, it is off by less than one unit. Arithmetic adds nothing to that: units are
//! weighed in whole nanoseconds of the window and nothing is rounded.
//!
//! What is charged beyond the limit counts in its window and in the next like all else.
//!
//! Steps of the clock are as with `fixed_window`: counts move to the earlier window that a step back
//! leads to, and a step of either kind lets at most one limit more through. Who had nothing left
//! has some again after one period and what one unit takes, as without a step, and [`SKEW`] more.

use super::{Algorithm, Outcome, Plan, SKEW, Standing, Time, Verdict, Windows, weight};
use std::time::Duration;

/// The algorithm `sliding_window_counter`.
#[derive(Debug, Clone, Copy)]
pub struct SlidingWindowCounter {
    period: u64,
    limit: u32,
}

/// What is kept of one caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of this window.
    window: u64,
    /// The units of the one before.
    previous: u32,
    /// The units of this one.
    current: u32,
}

impl SlidingWindowCounter {
    /// Windows of the plan's period.
    pub fn new(plan: &Plan) -> Self {
        SlidingWindowCounter { period: plan.period(), limit: plan.rate.units.get() }
    }

    fn windows(&self) -> Windows {
        Windows::Span(self.period)
    }

    /// The counts as they are now, and how much of this window is left.
    fn at(&self, state: &Counts, now: Time) -> (Counts, u64) {
        let window = now.0 / self.period;
        let left = self.period - now.0 % self.period;
        if window == state.window {
            return (*state, left);
        }
        if window > state.window {
            let is_next = window - state.window == 1;
            let previous = if is_next { state.current } else { 0 };
            return (Counts { window, previous, current: 0 }, left);
        }
        // For who is late, the window has just begun.
        let is_late = self.windows().start(state.window).since(now) <= SKEW;
        if is_late { (*state, self.period) } else { (Counts { window, ..*state }, left) }
    }

    /// Units, in nanoseconds of a window.
    fn weigh(&self, units: u32) -> u128 {
        u128::from(units) * u128::from(self.period)
    }

    fn estimate(&self, counts: Counts, left: u64) -> u128 {
        u128::from(counts.previous) * u128::from(left) + self.weigh(counts.current)
    }

    /// How much of a window has to be left at most, that so many units of the one before it leave
    /// room for `room`.
    fn left_for(&self, previous: u32, room: u32) -> u64 {
        match previous {
            0 => self.period,
            _ => u64::try_from(self.weigh(room) / u128::from(previous)).unwrap_or(u64::MAX),
        }
    }

    fn wait(&self, counts: Counts, left: u64, cost: u32) -> Duration {
        let in_this = counts.current.saturating_add(cost);
        let wait = if in_this <= self.limit {
            left.saturating_sub(self.left_for(counts.previous, self.limit - in_this))
        } else {
            let then = self.left_for(counts.current, self.limit - cost).min(self.period);
            left.saturating_add(self.period - then)
        };
        Duration::from_nanos(wait)
    }

    fn stand(&self, counts: Counts, left: u64) -> Standing {
        let room = self.weigh(self.limit).saturating_sub(self.estimate(counts, left));
        let remaining = match u64::try_from(room) {
            // Most fit 64 bits, whose division is several times quicker.
            Ok(room) => room / self.period,
            Err(_) => u64::try_from(room / u128::from(self.period)).unwrap_or(u64::MAX),
        };
        let reset = match counts {
            Counts { previous: 0, current: 0, .. } => 0,
            Counts { current: 0, .. } => left,
            _ => left.saturating_add(self.period),
        };
        Standing { limit: self.limit.into(), remaining, reset: Duration::from_nanos(reset) }
    }
}

impl Algorithm for SlidingWindowCounter {
    type State = Counts;

    fn take(&self, state: &mut Counts, now: Time, cost: u32) -> Verdict {
        let (mut counts, left) = self.at(state, now);
        let after = self.estimate(counts, left) + self.weigh(cost);
        let outcome = if after <= self.weigh(self.limit) {
            // The estimate holds all of this window, so that the sum is at most the limit.
            counts.current += cost;
            Outcome::Admitted
        } else {
            let fits = cost <= self.limit;
            Outcome::Refused { retry_after: fits.then(|| self.wait(counts, left, cost)) }
        };
        *state = counts;
        Verdict { outcome, standing: self.stand(counts, left) }
    }

    fn charge(&self, state: &mut Counts, now: Time, cost: u32) {
        let (counts, _) = self.at(state, now);
        *state = Counts { current: counts.current.saturating_add(cost), ..counts };
    }

    /// Gives back to the window that the units were taken in, which may be the previous one.
    fn give_back(&self, state: &mut Counts, taken: Time, now: Time, cost: u32) {
        let (mut counts, _) = self.at(state, now);
        let window = taken.0 / self.period;
        if window == counts.window {
            counts.current = counts.current.saturating_sub(cost);
        } else if window.checked_add(1) == Some(counts.window) {
            counts.previous = counts.previous.saturating_sub(cost);
        }
        *state = counts;
    }

    fn standing(&self, state: &Counts, now: Time) -> Standing {
        let (counts, left) = self.at(state, now);
        self.stand(counts, left)
    }

    fn weight(&self, state: &Counts, now: Time) -> u32 {
        let (counts, left) = self.at(state, now);
        weight(self.estimate(counts, left), self.weigh(self.limit))
    }
}
