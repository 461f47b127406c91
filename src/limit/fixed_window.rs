//! So many in each window of the clock: the cheapest to keep, and what a quota by the month is.
//!
//! No window admits more than the limit. Any stretch of time as long as a window touches two of
//! them, so that around an edge up to twice the limit is admitted: all of one window at its end and
//! all of the next at its beginning. Who needs less than that takes a sliding window.
//!
//! What is charged beyond the limit is counted in the windows that follow.
//!
//! Steps of the clock: a step back moves what was used to the window that it leads to, and a step
//! forward begins a new one. Either can cut a window short, so that each step lets at most one limit
//! more through. After a step back, who had nothing left has it when that earlier window is over:
//! within one period, and [`SKEW`] more, as an earlier moment within that is no step.

use super::{Algorithm, Outcome, Plan, SKEW, Standing, Time, Verdict, Windows, weight};
use std::time::Duration;

/// The algorithm `fixed_window`.
#[derive(Debug, Clone, Copy)]
pub struct FixedWindow {
    windows: Windows,
    limit: u64,
}

/// What is kept of one caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The number of the window.
    window: u64,
    /// How much was used in it, and is owed from those before.
    used: u64,
}

impl FixedWindow {
    /// Windows of the plan's period, which may be months.
    pub fn new(plan: &Plan) -> Self {
        FixedWindow { windows: Windows::new(plan.rate.per), limit: plan.rate.units.get().into() }
    }

    /// The count as it is now.
    fn at(&self, state: &Count, now: Time) -> Count {
        let window = self.windows.index(now);
        if window == state.window {
            return *state;
        }
        if window > state.window {
            let worked_off = self.limit.saturating_mul(window - state.window);
            return Count { window, used: state.used.saturating_sub(worked_off) };
        }
        let is_late = self.windows.start(state.window).since(now) <= SKEW;
        if is_late { *state } else { Count { window, ..*state } }
    }

    /// How long it takes until so much of what was used is worked off; at least to the next window.
    fn wait(&self, count: Count, now: Time, units: u64) -> Duration {
        self.windows.until(count.window, units.div_ceil(self.limit), now)
    }

    fn stand(&self, count: Count, now: Time) -> Standing {
        Standing {
            limit: self.limit,
            remaining: self.limit.saturating_sub(count.used),
            reset: if count.used == 0 { Duration::ZERO } else { self.wait(count, now, count.used) },
        }
    }
}

impl Algorithm for FixedWindow {
    type State = Count;

    fn take(&self, state: &mut Count, now: Time, cost: u32) -> Verdict {
        let mut count = self.at(state, now);
        let after = count.used.saturating_add(cost.into());
        let outcome = if after <= self.limit {
            count.used = after;
            Outcome::Admitted
        } else {
            let fits = u64::from(cost) <= self.limit;
            Outcome::Refused {
                retry_after: fits.then(|| self.wait(count, now, after - self.limit)),
            }
        };
        *state = count;
        Verdict { outcome, standing: self.stand(count, now) }
    }

    fn charge(&self, state: &mut Count, now: Time, cost: u32) {
        *state = self.at(state, now);
        state.used = state.used.saturating_add(cost.into());
    }

    fn give_back(&self, state: &mut Count, taken: Time, now: Time, cost: u32) {
        *state = self.at(state, now);
        if self.windows.index(taken) == state.window {
            state.used = state.used.saturating_sub(cost.into());
        }
    }

    fn standing(&self, state: &Count, now: Time) -> Standing {
        self.stand(self.at(state, now), now)
    }

    fn weight(&self, state: &Count, now: Time) -> u32 {
        weight(self.at(state, now).used.into(), self.limit.into())
    }
}
