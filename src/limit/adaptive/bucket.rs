//! A token bucket whose rate is multiplied by a factor that changes under way.
//!
//! What is kept is therefore how many units are gone, and not, as in `gcra.rs`, when they will be
//! back: that time would be wrong as soon as the factor changes. A change touches no unit; it only
//! says how quickly they come back, and the time since the last request is counted by the factor of
//! now. So in any time `t` at most `burst + units × t / period` are admitted, whatever the factor
//! did, and `burst + factor × units × t / period` while it stays. What is kept is a float of 53 bits:
//! each request rounds by less than 2⁻⁵² of the burst.
//!
//! Steps of the clock: time that goes back fills nothing, and goes on from there; a step forward
//! fills the bucket, so that at most one burst more is admitted. The burst stays as it is: what one
//! caller may do at once is little beside what all do in a window.

use super::Health;
use crate::limit::{Algorithm, Outcome, Plan, SKEW, Standing, Time, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// The algorithm `adaptive`.
#[derive(Debug, Clone)]
pub struct Adaptive {
    /// How many units come back in a nanosecond, while the service is well.
    rate: f64,
    burst: f64,
    health: Arc<Health>,
}

/// What is kept of one caller.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bucket {
    /// When that was.
    at: Time,
    /// How many units were gone; more than the burst where more was charged.
    gone: f64,
}

impl Adaptive {
    /// A bucket as large as the plan's burst, for a service of that health.
    pub fn new(plan: &Plan, health: Arc<Health>) -> Self {
        Adaptive {
            rate: f64::from(plan.rate.units.get()) / plan.period() as f64,
            burst: plan.burst.get().into(),
            health,
        }
    }

    fn at(&self, state: &Bucket, now: Time, rate: f64) -> Bucket {
        if state.at.since(now) > SKEW {
            return Bucket { at: now, ..*state };
        }
        let back = now.0.saturating_sub(state.at.0) as f64 * rate;
        Bucket { at: now.max(state.at), gone: (state.gone - back).max(0.0) }
    }

    fn rate(&self) -> f64 {
        self.rate * self.health.factor()
    }

    fn stand(&self, gone: f64, rate: f64) -> Standing {
        Standing {
            limit: self.burst as u64,
            remaining: (self.burst - gone).max(0.0) as u64,
            reset: wait(gone, rate),
        }
    }
}

/// How long so many units take at a rate, rounded up, with one nanosecond for what the floats are
/// off by.
fn wait(units: f64, rate: f64) -> Duration {
    if units <= 0.0 {
        return Duration::ZERO;
    }
    Duration::from_nanos(((units / rate).ceil() as u64).saturating_add(1))
}

impl Algorithm for Adaptive {
    type State = Bucket;

    fn take(&self, state: &mut Bucket, now: Time, cost: u32) -> Verdict {
        let rate = self.rate();
        *state = self.at(state, now, rate);
        let after = state.gone + f64::from(cost);
        let outcome = if after <= self.burst {
            state.gone = after;
            Outcome::Admitted
        } else {
            let fits = f64::from(cost) <= self.burst;
            Outcome::Refused { retry_after: fits.then(|| wait(after - self.burst, rate)) }
        };
        Verdict { outcome, standing: self.stand(state.gone, rate) }
    }

    fn charge(&self, state: &mut Bucket, now: Time, cost: u32) {
        *state = self.at(state, now, self.rate());
        state.gone += f64::from(cost);
    }

    /// Gives back what cannot have come back by itself since, at the full rate; why no more is said
    /// in `gcra.rs`.
    fn give_back(&self, state: &mut Bucket, taken: Time, now: Time, cost: u32) {
        *state = self.at(state, now, self.rate());
        let since = now.0.saturating_sub(taken.0) as f64 * self.rate;
        state.gone = (state.gone - (f64::from(cost) - since).max(0.0)).max(0.0);
    }

    fn standing(&self, state: &Bucket, now: Time) -> Standing {
        let rate = self.rate();
        self.stand(self.at(state, now, rate).gone, rate)
    }

    fn weight(&self, state: &Bucket, now: Time) -> u32 {
        let share = self.at(state, now, self.rate()).gone / self.burst;
        // A float beyond the range becomes its end.
        ((share * f64::from(u32::MAX)) as u32).max(u32::from(share > 0.0))
    }
}
