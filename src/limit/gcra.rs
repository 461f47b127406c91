//! The generic cell rate algorithm of ITU-T I.371 (annex A, "virtual scheduling"), which both
//! buckets are.
//!
//! All that is kept of a caller is its theoretical arrival time: when its bucket is as one that was
//! never used. Each unit puts that off by the emission interval, period over units, and a request
//! is admitted while it lies no further ahead than the bucket is deep. Nothing has to be filled or
//! drained by a clock.
//!
//! The interval is rarely a whole number of nanoseconds: 7/s is one unit in 142 857 142.857…, and
//! 3 000 000 000/s is less than one. So time is counted in parts of a nanosecond, as many to each as
//! the rate has units. Both the clock and the interval are then whole numbers, and nothing is
//! rounded: the error of the rate is zero, for ever. What is rounded is what is told (a wait up to
//! the next nanosecond, what remains down to whole units), and never what is kept. Only a bucket
//! that holds less than comes in two nanoseconds, or a single unit, is full while a client waits
//! for the clock's next nanosecond, and loses that part of one.
//!
//! Steps of the clock: after a step back, a time that lies further ahead than admission ever puts
//! it shows the step, and is brought back to there: the bucket is empty, and as full again as
//! without the step after its filling time (and [`SKEW`] more, below which no step shows). Nobody
//! is given anything by it. A step forward fills the bucket for the time that it left out, so that
//! at most one burst more is admitted.

use super::{Algorithm, Outcome, SKEW, Standing, Time, Verdict, nanos, plan::Plan, weight};
use std::fmt::Debug;
use std::time::Duration;

/// What is kept of one caller: 16 bytes, of which zero is a bucket that is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The theoretical arrival time, in parts: the lower half,
    low: u64,
    /// and the upper.
    high: u32,
    /// Units that were charged beyond what the bucket held. Beside the time and not in it, as a
    /// debt would else look like a step of the clock.
    debt: u32,
}

/// The most that the two halves of a time hold.
const LATEST: u128 = (1 << 96) - 1;

impl Arrival {
    fn time(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

/// The algorithm, for one rate and depth.
#[derive(Debug, Clone, Copy)]
pub struct Gcra {
    /// How many parts a nanosecond has: the units of the rate.
    parts: u64,
    /// The emission interval in parts: the nanoseconds of the period.
    interval: u64,
    /// The most that one request may cost.
    burst: u32,
    /// How far ahead a request is admitted at once, in parts.
    depth: u128,
    /// How far ahead it is admitted at all: later ones wait for the difference.
    ceiling: u128,
    /// How much further ahead shows a step of the clock.
    skew: u128,
}

/// An algorithm that is this arithmetic, as one bucket or another.
pub trait Bucket: Debug + Send + Sync {
    /// The arithmetic.
    fn gcra(&self) -> &Gcra;
}

impl<B: Bucket> Algorithm for B {
    type State = Arrival;

    fn take(&self, state: &mut Arrival, now: Time, cost: u32) -> Verdict {
        self.gcra().take(state, now, cost)
    }

    fn charge(&self, state: &mut Arrival, now: Time, cost: u32) {
        self.gcra().charge(state, now, cost);
    }

    fn give_back(&self, state: &mut Arrival, taken: Time, now: Time, cost: u32) {
        self.gcra().give_back(state, taken, now, cost);
    }

    fn standing(&self, state: &Arrival, now: Time) -> Standing {
        self.gcra().standing(state, now)
    }

    fn weight(&self, state: &Arrival, now: Time) -> u32 {
        self.gcra().weight(state, now)
    }
}

impl Gcra {
    /// A bucket for the burst of a plan, after which as many units wait as are given, each for so
    /// long at most.
    pub fn new(plan: &Plan, queue: u32, longest: Duration) -> Self {
        let parts = u64::from(plan.rate.units.get());
        let interval = plan.period();
        let depth = u128::from(plan.burst.get()) * u128::from(interval);
        let by_length = u128::from(queue) * u128::from(interval);
        let by_time = u128::from(nanos(longest)) * u128::from(parts);
        Gcra {
            parts,
            interval,
            burst: plan.burst.get(),
            depth,
            ceiling: depth + by_length.min(by_time),
            skew: u128::from(nanos(SKEW)) * u128::from(parts),
        }
    }

    fn clock(&self, now: Time) -> u128 {
        u128::from(now.0) * u128::from(self.parts)
    }

    fn cost(&self, units: u32) -> u128 {
        u128::from(units) * u128::from(self.interval)
    }

    /// The nanoseconds of so many parts, as a wait: rounded up.
    fn wait(&self, parts: u128) -> Duration {
        // Most numbers fit 64 bits, whose division is several times quicker.
        let nanos = match u64::try_from(parts) {
            Ok(parts) => parts.div_ceil(self.parts),
            Err(_) => u64::try_from(parts.div_ceil(self.parts.into())).unwrap_or(u64::MAX),
        };
        Duration::from_nanos(nanos)
    }

    fn is_stepped(&self, state: &Arrival, clock: u128) -> bool {
        state.time() > clock + self.ceiling + self.skew
    }

    /// How far ahead the theoretical arrival time lies, with what is owed.
    fn level(&self, state: &Arrival, clock: u128) -> u128 {
        let time = match self.is_stepped(state, clock) {
            true => clock + self.ceiling,
            false => state.time(),
        };
        (time + self.cost(state.debt)).saturating_sub(clock)
    }

    fn set(&self, state: &mut Arrival, clock: u128, level: u128) {
        let beyond = level.saturating_sub(self.ceiling);
        let owed = beyond.div_ceil(u128::from(self.interval));
        let debt = u32::try_from(owed).unwrap_or(u32::MAX);
        // A whole number of units is owed, so that the rest stays exact.
        let within = if beyond > 0 { level - owed * u128::from(self.interval) } else { level };
        let time = (clock + within).min(LATEST);
        *state = Arrival { low: time as u64, high: (time >> 64) as u32, debt };
    }

    pub fn take(&self, state: &mut Arrival, now: Time, cost: u32) -> Verdict {
        let clock = self.clock(now);
        let before = self.level(state, clock);
        let after = before + self.cost(cost);
        if cost > self.burst || after > self.ceiling {
            if self.is_stepped(state, clock) {
                self.set(state, clock, before);
            }
            let fits = cost <= self.burst;
            let retry_after = fits.then(|| self.wait(after - self.ceiling));
            return Verdict {
                outcome: Outcome::Refused { retry_after },
                standing: self.at(before),
            };
        }
        self.set(state, clock, after);
        let outcome = match after.saturating_sub(self.depth) {
            0 => Outcome::Admitted,
            early => Outcome::Queued { wait: self.wait(early) },
        };
        Verdict { outcome, standing: self.at(after) }
    }

    pub fn charge(&self, state: &mut Arrival, now: Time, cost: u32) {
        let clock = self.clock(now);
        let level = self.level(state, clock) + self.cost(cost);
        self.set(state, clock, level);
    }

    /// Gives back what cannot have drained since: of a bucket that was empty before, as much as is
    /// left of it, and from one that was not, no more. Giving all back to a caller that has rested
    /// meanwhile would pay for what it takes later.
    pub fn give_back(&self, state: &mut Arrival, taken: Time, now: Time, cost: u32) {
        let clock = self.clock(now);
        let drained = clock.saturating_sub(self.clock(taken));
        let back = self.cost(cost).saturating_sub(drained);
        let level = self.level(state, clock).saturating_sub(back);
        self.set(state, clock, level);
    }

    pub fn standing(&self, state: &Arrival, now: Time) -> Standing {
        self.at(self.level(state, self.clock(now)))
    }

    fn at(&self, level: u128) -> Standing {
        let units = |parts: u128| match u64::try_from(parts) {
            Ok(parts) => parts / self.interval,
            Err(_) => u64::try_from(parts / u128::from(self.interval)).unwrap_or(u64::MAX),
        };
        Standing {
            limit: units(self.ceiling),
            remaining: units(self.ceiling.saturating_sub(level)),
            reset: self.wait(level),
        }
    }

    pub fn weight(&self, state: &Arrival, now: Time) -> u32 {
        weight(self.level(state, self.clock(now)), self.ceiling)
    }
}
