//! So many in any window, exactly: each admission is kept until it is a window old.
//!
//! No stretch of time as long as the period, wherever it begins, sees more than the limit. The
//! price is memory: 16 bytes for each admission of the last period, so that a caller who has used
//! all of a limit of 1000 takes 16 kB (and up to twice that, as the ring grows by doubling). Times
//! are kept to the nanosecond, so that nothing is lost by resolution; who needs a small state takes
//! the counter.
//!
//! What is charged beyond the limit counts for a window like all else, and no longer.
//!
//! Steps of the clock: after a step back, what was admitted at times that have not come yet counts
//! as admitted now, so that it counts for longer than a window and nothing more gets through; who
//! had nothing left has all again after one period (and [`SKEW`] more, within which an earlier
//! moment is taken for the latest). A step forward makes admissions old before their time, so that
//! at most one limit more gets through.

use super::{Algorithm, Outcome, Plan, SKEW, Standing, Time, Verdict, weight};
use std::collections::VecDeque;
use std::time::Duration;

/// The algorithm `sliding_window_log`.
#[derive(Debug, Clone, Copy)]
pub struct SlidingWindowLog {
    period: u64,
    limit: u64,
}

/// What is kept of one caller.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// What was admitted and when, earliest first. As many as the limit at most, since each is one
    /// unit at least: it grows by what is used, and not to what might be.
    entries: VecDeque<Entry>,
    /// The units of all entries.
    used: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Time,
    units: u32,
}

impl SlidingWindowLog {
    /// Windows of the plan's period.
    pub fn new(plan: &Plan) -> Self {
        SlidingWindowLog { period: plan.period(), limit: plan.rate.units.get().into() }
    }

    /// The moment as the log has it: the latest, where this one is within the skew.
    fn now(&self, log: &Log, now: Time) -> Time {
        match log.entries.back() {
            Some(last) if last.at.since(now) <= SKEW => now.max(last.at),
            _ => now,
        }
    }

    /// When an entry is a window old, and counts no more.
    fn end(&self, entry: &Entry) -> Time {
        Time(entry.at.0.saturating_add(self.period))
    }

    /// Forgets what is a window old. Each entry is put in once and taken out once, so that this
    /// costs an admission the same however many there are.
    fn settle(&self, log: &mut Log, now: Time) -> Time {
        let now = self.now(log, now);
        let mut early = 0;
        while let Some(last) = log.entries.back().filter(|last| last.at > now) {
            early += u64::from(last.units);
            log.entries.pop_back();
        }
        while let Some(first) = log.entries.front().filter(|first| self.end(first) <= now) {
            log.used -= u64::from(first.units);
            log.entries.pop_front();
        }
        if early > 0 {
            log.used -= early;
            self.push(log, now, u32::try_from(early).unwrap_or(u32::MAX));
        }
        now
    }

    /// What a settled log would have used, and the place of its first entry.
    fn peek(&self, log: &Log, now: Time) -> (u64, usize) {
        let past = log.entries.iter().take_while(|entry| self.end(entry) <= now);
        let (mut used, mut first) = (log.used, 0);
        for entry in past {
            used -= u64::from(entry.units);
            first += 1;
        }
        (used, first)
    }

    /// Adds units at a moment that is no earlier than the last. Units of one moment are one entry,
    /// and so are those beyond the limit, of which a charge may bring any number.
    fn push(&self, log: &mut Log, now: Time, units: u32) {
        if units == 0 {
            return;
        }
        let is_over = log.used >= self.limit;
        match log.entries.back_mut() {
            Some(last) if last.at == now || is_over => {
                let sum = last.units.saturating_add(units);
                log.used += u64::from(sum - last.units);
                *last = Entry { at: now, units: sum };
            }
            _ => {
                log.used += u64::from(units);
                log.entries.push_back(Entry { at: now, units });
            }
        }
    }

    /// How long it takes until so many units are a window old. This walks over as many entries as
    /// have to go, which for a request of one unit is one.
    fn wait(&self, log: &Log, now: Time, units: u64) -> Duration {
        let mut gone = 0;
        let leaves = |entry: &&Entry| {
            gone += u64::from(entry.units);
            gone >= units
        };
        log.entries.iter().find(leaves).map_or(Duration::ZERO, |entry| self.end(entry).since(now))
    }

    fn stand(&self, used: u64, last: Option<&Entry>, now: Time) -> Standing {
        Standing {
            limit: self.limit,
            remaining: self.limit.saturating_sub(used),
            // Entries of times to come count from now on once they are settled.
            reset: last.map_or(Duration::ZERO, |last| {
                self.end(last).since(now).min(Duration::from_nanos(self.period))
            }),
        }
    }
}

impl Algorithm for SlidingWindowLog {
    type State = Log;

    fn take(&self, state: &mut Log, now: Time, cost: u32) -> Verdict {
        let now = self.settle(state, now);
        let after = state.used + u64::from(cost);
        let outcome = if after <= self.limit {
            self.push(state, now, cost);
            Outcome::Admitted
        } else {
            let fits = u64::from(cost) <= self.limit;
            let retry_after = fits.then(|| self.wait(state, now, after - self.limit));
            Outcome::Refused { retry_after }
        };
        Verdict { outcome, standing: self.stand(state.used, state.entries.back(), now) }
    }

    fn charge(&self, state: &mut Log, now: Time, cost: u32) {
        let now = self.settle(state, now);
        self.push(state, now, cost);
    }

    /// Gives back what is still there of that moment, or, for who was late, of the first after it
    /// within the skew: that is no later than where the units are, so that no more gets through.
    fn give_back(&self, state: &mut Log, taken: Time, now: Time, cost: u32) {
        self.settle(state, now);
        // What is a window old has gone, and what stands there now is another's.
        if taken.0.saturating_add(self.period) <= now.0 {
            return;
        }
        let place = state.entries.partition_point(|entry| entry.at < taken);
        let Some(entry) = state.entries.get_mut(place).filter(|it| it.at.since(taken) <= SKEW)
        else {
            return;
        };
        let back = entry.units.min(cost);
        entry.units -= back;
        state.used -= u64::from(back);
        if entry.units == 0 {
            state.entries.remove(place);
        }
    }

    fn standing(&self, state: &Log, now: Time) -> Standing {
        let now = self.now(state, now);
        let (used, first) = self.peek(state, now);
        let last = state.entries.back().filter(|_| first < state.entries.len());
        self.stand(used, last, now)
    }

    /// Each request that was admitted has an entry, and another where it was charged for more; the
    /// ring doubles as it grows.
    fn heap(&self) -> usize {
        let entries = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_mul(2);
        entries.checked_next_power_of_two().unwrap_or(usize::MAX).saturating_mul(size_of::<Entry>())
    }

    fn weight(&self, state: &Log, now: Time) -> u32 {
        weight(self.peek(state, self.now(state, now)).0.into(), self.limit.into())
    }
}
