//! Stores that leases are tried with: each algorithm in its plainest exact form, by one clock.

use crate::limit::{Claim, Grant, Kind, Plan, Standing};
use crate::value::Period;
use std::collections::VecDeque;
use std::time::Duration;

/// One caller's units in the store. Times are nanoseconds of the store's clock.
#[derive(Debug, Default)]
pub struct Account {
    /// Of windows: the number of the current one, what was taken in it and in the one before.
    window: u64,
    current: u64,
    previous: u64,
    /// Of a log: when how many were taken.
    log: VecDeque<(u64, u64)>,
    /// Of a bucket: what is missing in it, each unit as many parts as the period has nanoseconds.
    missing: u128,
    at: u64,
}

/// The period of a plan, in nanoseconds.
pub fn period(plan: &Plan) -> u64 {
    match plan.rate.per {
        Period::Span(span) => span.as_nanos() as u64,
        Period::Month => unreachable!("no plan of these tests is monthly"),
    }
}

impl Account {
    /// Gives of what there is.
    pub fn claim(&mut self, plan: &Plan, now: u64, claim: Claim) -> Grant {
        self.turn(plan, now);
        let there = self.there(plan, now);
        let enough = there >= u64::from(claim.least);
        let units = if enough { there.min(claim.want.into()) } else { 0 };
        self.take(plan, now, units);
        let retry_after = if enough { 0 } else { self.retry(plan, now, claim.least.into()) };
        let standing = Standing {
            limit: limit(plan),
            remaining: self.there(plan, now),
            reset: Duration::from_nanos(self.reset(plan, now)),
        };
        let retry_after = Some(Duration::from_nanos(retry_after));
        Grant { units: units as u32, standing, retry_after }
    }

    /// Takes units back that were taken at about `taken`.
    pub fn give_back(&mut self, plan: &Plan, now: u64, taken: u64, units: u64) {
        self.turn(plan, now);
        let window = taken / period(plan);
        match plan.kind {
            Kind::FixedWindow | Kind::SlidingWindowCounter if window == self.window => {
                self.current = self.current.saturating_sub(units);
            }
            Kind::SlidingWindowCounter if window + 1 == self.window => {
                self.previous = self.previous.saturating_sub(units);
            }
            Kind::FixedWindow | Kind::SlidingWindowCounter => {}
            Kind::SlidingWindowLog => {
                let mut units = units;
                for (_, taken) in
                    self.log.iter_mut().rev().filter(|(at, _)| *at <= taken + 1_000_000)
                {
                    let back = units.min(*taken);
                    *taken -= back;
                    units -= back;
                }
            }
            Kind::TokenBucket | Kind::LeakyBucket => {
                self.missing = self.missing.saturating_sub(u128::from(units * period(plan)));
            }
        }
    }

    /// Forgets what no longer counts.
    fn turn(&mut self, plan: &Plan, now: u64) {
        let period = period(plan);
        let window = now / period;
        if window != self.window {
            self.previous = if window == self.window + 1 { self.current } else { 0 };
            self.current = 0;
            self.window = window;
        }
        while self.log.front().is_some_and(|(at, _)| at + period <= now) {
            self.log.pop_front();
        }
        let back = u128::from(now - self.at) * u128::from(plan.rate.units.get());
        self.missing = self.missing.saturating_sub(back);
        self.at = now;
    }

    fn there(&self, plan: &Plan, now: u64) -> u64 {
        let period = period(plan);
        let limit = limit(plan);
        match plan.kind {
            Kind::FixedWindow => limit - self.current,
            Kind::SlidingWindowLog => limit - self.log.iter().map(|(_, units)| units).sum::<u64>(),
            Kind::SlidingWindowCounter => {
                let weight = u128::from(period - now % period);
                let before = (u128::from(self.previous) * weight).div_ceil(u128::from(period));
                limit.saturating_sub(self.current + before as u64)
            }
            Kind::TokenBucket | Kind::LeakyBucket => {
                limit - self.missing.div_ceil(u128::from(period)) as u64
            }
        }
    }

    fn take(&mut self, plan: &Plan, now: u64, units: u64) {
        self.current += units;
        if units > 0 && plan.kind == Kind::SlidingWindowLog {
            self.log.push_back((now, units));
        }
        self.missing += u128::from(units) * u128::from(period(plan));
    }

    fn retry(&self, plan: &Plan, now: u64, least: u64) -> u64 {
        let period = period(plan);
        match plan.kind {
            Kind::FixedWindow => period - now % period,
            Kind::SlidingWindowLog => {
                let mut there = self.there(plan, now);
                let leaves = self.log.iter().find(|(_, units)| {
                    there += units;
                    there >= least
                });
                leaves.map_or(period, |(at, _)| at + period - now)
            }
            // When the estimate has sunk by what is missing; the window's end at the latest.
            Kind::SlidingWindowCounter => {
                let missing = least - self.there(plan, now);
                let step = period / self.previous.max(1);
                (missing * step).min(period - now % period)
            }
            Kind::TokenBucket | Kind::LeakyBucket => {
                let there = u128::from(limit(plan)) * u128::from(period) - self.missing;
                let missing = u128::from(least * period) - there;
                missing.div_ceil(plan.rate.units.get().into()) as u64
            }
        }
    }

    fn reset(&self, plan: &Plan, now: u64) -> u64 {
        let period = period(plan);
        match plan.kind {
            Kind::FixedWindow => period - now % period,
            Kind::SlidingWindowLog => self.log.back().map_or(0, |(at, _)| at + period - now),
            Kind::SlidingWindowCounter => 2 * period - now % period,
            Kind::TokenBucket | Kind::LeakyBucket => {
                self.missing.div_ceil(plan.rate.units.get().into()) as u64
            }
        }
    }
}

/// How many units there ever are at once.
pub fn limit(plan: &Plan) -> u64 {
    match plan.kind {
        Kind::TokenBucket | Kind::LeakyBucket => plan.burst.get().into(),
        _ => plan.rate.units.get().into(),
    }
}
