//! Who is ejected until when. Pure: the keeper asks, with the time, and tells the workers.

use super::{Reason, Settings, Tally};
use crate::value::Percent;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The ejections of one service. Endpoints are told apart by a key, so that what is known of one
/// outlives the coming and going of others, its own for as long as it is not forgiven, and a reload.
#[derive(Debug)]
pub struct Ejections {
    settings: Settings,
    /// What is held against endpoints. It is forgotten once it is forgiven, so that names that come
    /// and go do not add up.
    records: HashMap<Box<str>, Record>,
    /// When shares are looked at next.
    look_at: Instant,
}

/// What is held against an endpoint.
#[derive(Debug)]
struct Record {
    /// Until when it is ejected, if it is.
    until: Option<Instant>,
    /// How many of its ejections are not forgiven.
    times: u32,
    /// From when on the time counts that forgives the next one.
    good_since: Instant,
}

/// What a review changed for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It gets no requests for a while.
    Ejected {
        /// Why.
        reason: Reason,
        /// For how long.
        lasts: Duration,
    },
    /// It gets requests again.
    Returned,
}

impl Ejections {
    /// Begins with nobody ejected.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Ejections { settings, records: HashMap::new(), look_at: now + settings.interval }
    }

    /// Goes by other settings from now on. Who is ejected stays so for the time that was said; the
    /// next review may bring some back if fewer may be ejected now. Tallies have limits of their
    /// own, and are made anew.
    pub fn adopt(&mut self, settings: Settings, now: Instant) {
        self.look_at = self.look_at.min(now + settings.interval);
        self.settings = settings;
    }

    /// Brings back those whose time is over, and ejects those that fail, as far as there may be.
    /// Returns what changed, in the order in which it did.
    ///
    /// It is due when [`Ejections::due`] says so, when a tally reached a limit, and when endpoints
    /// came or went; once more does no harm. `endpoints` are those that could get requests now,
    /// each key once; what is ejected among them may be so many, and who is not there is neither
    /// counted nor told of.
    pub fn review<'a>(
        &mut self,
        endpoints: &[(&'a str, &Tally)],
        now: Instant,
    ) -> Vec<(&'a str, Change)> {
        let mut changes = Vec::new();
        let before: Vec<_> = endpoints.iter().filter(|(key, _)| self.is_ejected(key)).collect();
        self.lapse(now);
        let mut ejected = Vec::new();
        for (key, tally) in before {
            match self.until(key) {
                Some(until) => ejected.push((until, *key, *tally)),
                None => changes.push(returned(key, tally)),
            }
        }
        let most = most(self.settings.max_ejected, endpoints.len());
        ejected.sort_by_key(|(until, key, _)| (*until, *key));
        let surplus = ejected.len().saturating_sub(most);
        for (_, key, tally) in ejected.drain(..surplus) {
            self.bring_back(key, now);
            changes.push(returned(key, tally));
        }
        let room = most - ejected.len();
        for (key, tally, reason) in self.suspects(endpoints, now).into_iter().take(room) {
            tally.forget();
            let lasts = self.eject(key, now);
            changes.push((key, Change::Ejected { reason, lasts }));
        }
        changes
    }

    /// When the next review is due: when the first one comes back, or shares are to be looked at.
    /// None while there is nothing to wait for.
    pub fn due(&self) -> Option<Instant> {
        let looks = self.settings.success_rate.map(|_| self.look_at);
        self.records.values().filter_map(|record| record.until).chain(looks).min()
    }

    /// Whether an endpoint was ejected at the last review.
    pub fn is_ejected(&self, key: &str) -> bool {
        self.until(key).is_some()
    }

    /// Until when an endpoint is ejected, if it was at the last review.
    pub fn until(&self, key: &str) -> Option<Instant> {
        self.records.get(key)?.until
    }

    /// Lets time do what it does by itself, however much of it has passed.
    fn lapse(&mut self, now: Instant) {
        let interval = self.settings.interval;
        self.records.retain(|_, record| {
            if let Some(until) = record.until.take_if(|until| *until <= now) {
                record.good_since = until;
            }
            if record.until.is_none() {
                let good = now.saturating_duration_since(record.good_since);
                let intervals = good.as_nanos() / interval.as_nanos().max(1);
                let forgiven = u32::try_from(intervals).unwrap_or(u32::MAX).min(record.times);
                record.times -= forgiven;
                record.good_since += interval.saturating_mul(forgiven);
            }
            record.until.is_some() || record.times > 0
        });
    }

    /// Lists who should be ejected and is not: first those where something came in a row, then those
    /// of whose requests too few succeeded, the worst first.
    fn suspects<'a, 't>(
        &mut self,
        endpoints: &[(&'a str, &'t Tally)],
        now: Instant,
    ) -> Vec<(&'a str, &'t Tally, Reason)> {
        let looks = now >= self.look_at;
        if looks {
            self.look_at = now + self.settings.interval;
        }
        let (mut in_a_row, mut by_share) = (Vec::new(), Vec::new());
        for (key, tally) in endpoints {
            // The counts of an interval are taken also of those who are judged by something else.
            let counts = if looks { tally.take() } else { Default::default() };
            if self.is_ejected(key) {
                continue;
            }
            if let Some(reason) = tally.excess() {
                in_a_row.push((*key, *tally, reason));
                continue;
            }
            let Some(rate) = self.settings.success_rate else { continue };
            let share = counts.succeeded as f64 / counts.requests.max(1) as f64;
            if counts.requests >= u64::from(rate.min_requests.max(1)) && share < rate.below.ratio()
            {
                let super::tally::Counts { requests, succeeded } = counts;
                by_share.push((share, *key, *tally, Reason::SuccessRate { succeeded, requests }));
            }
        }
        by_share.sort_by(|one, other| one.0.total_cmp(&other.0));
        in_a_row.extend(by_share.into_iter().map(|(_, key, tally, reason)| (key, tally, reason)));
        in_a_row
    }

    /// Ejects an endpoint, and returns for how long.
    fn eject(&mut self, key: &str, now: Instant) -> Duration {
        let Settings { eject_for, max_eject_for, .. } = self.settings;
        let record = self.records.entry(key.into()).or_insert(Record {
            until: None,
            times: 0,
            good_since: now,
        });
        // Ejections that lengthen nothing any more are not counted, or it would take as many
        // intervals to be forgiven as there were.
        if record.times == 0 || eject_for.saturating_mul(record.times) < max_eject_for {
            record.times += 1;
        }
        let lasts = eject_for.saturating_mul(record.times).min(max_eject_for);
        record.until = Some(now + lasts);
        lasts
    }

    /// Ends an ejection before its time.
    fn bring_back(&mut self, key: &str, now: Instant) {
        if let Some(record) = self.records.get_mut(key) {
            record.until = None;
            record.good_since = now;
        }
    }
}

/// An endpoint comes back, and what was under way when it was ejected is not held against it.
fn returned<'a>(key: &'a str, tally: &Tally) -> (&'a str, Change) {
    tally.forget();
    (key, Change::Returned)
}

/// How many of so many endpoints may be ejected: the share, rounded down, but one of two or more,
/// and never the last.
pub(super) fn most(share: Percent, endpoints: usize) -> usize {
    // A share of a number is no larger than the number.
    (share.of(endpoints as u64) as usize).max(1).min(endpoints.saturating_sub(1))
}
