//! What is known of a service while it serves, under its name: it outlives a reload.

use super::breaker::{self, Breaker};
use super::bulkhead::{Bulkhead, Limits};
use super::discovery::Found;
use super::endpoint::key;
use super::outlier::Ejections;
use super::padded::Padded;
use super::retry::RetryBudget;
use super::{Blueprint, Endpoint, Guards, Live};
use crate::lock::lock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::sync::Notify;

/// What is known of a service while it serves.
#[derive(Debug)]
pub struct State {
    /// Wakes the keeper, when a worker has seen what the keeper must decide on.
    pub wake: Notify,
    /// How many retries it gets.
    pub budget: RetryBudget,
    /// How often an endpoint was ejected.
    pub(super) ejected: AtomicU64,
    /// Those in flight at all its endpoints.
    in_flight: Arc<Padded<AtomicU64>>,
    breakers: Mutex<Vec<Arc<Breaker>>>,
    bulkhead: Mutex<Option<Arc<Bulkhead>>>,
    kept: Mutex<Kept>,
}

/// What the keeper knows. Nobody else waits for it: it is locked so that the keeper of the next
/// configuration finds it as the last one left it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    lives: HashMap<Box<str>, Arc<Live>>,
    /// Whether any endpoint was ever known.
    began: bool,
    /// Who is ejected, where somebody may be.
    pub ejections: Option<Ejections>,
}

impl State {
    /// A service of which nothing is known.
    pub fn new(now: Instant) -> Self {
        State {
            wake: Notify::new(),
            budget: RetryBudget::new(now),
            ejected: AtomicU64::new(0),
            in_flight: Arc::default(),
            breakers: Mutex::default(),
            bulkhead: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// How many attempts are in flight at all its endpoints.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// How often an endpoint of its was ejected.
    pub fn ejected(&self) -> u64 {
        self.ejected.load(Relaxed)
    }

    /// The circuit that opens and closes so; who asks with the same settings shares it.
    pub fn breaker(
        &self,
        settings: &breaker::Settings,
        workers: usize,
        now: Instant,
    ) -> Arc<Breaker> {
        let mut breakers = lock(&self.breakers);
        if let Some(known) = breakers.iter().find(|known| known.settings() == settings) {
            return Arc::clone(known);
        }
        // Those of a configuration that is gone have no other owner.
        breakers.retain(|known| Arc::strong_count(known) > 1);
        let breaker = Arc::new(Breaker::new(settings.clone(), workers, now));
        breakers.push(Arc::clone(&breaker));
        breaker
    }

    /// The compartment with these limits: what is in flight counts on where they are the same.
    pub(super) fn bulkhead(&self, limits: &Limits, now: Instant) -> Arc<Bulkhead> {
        let mut bulkhead = lock(&self.bulkhead);
        match &*bulkhead {
            Some(known) if known.limits() == limits => Arc::clone(known),
            _ => Arc::clone(bulkhead.insert(Arc::new(Bulkhead::new(*limits, now)))),
        }
    }

    /// Its circuits.
    pub fn breakers(&self) -> Vec<Arc<Breaker>> {
        lock(&self.breakers).clone()
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// The endpoints that were found, each with what is known of it; forgets the others.
    pub(super) fn endpoints(
        &self,
        found: &[Found],
        blueprint: &Blueprint,
        guards: &Guards,
        workers: usize,
        now: Instant,
    ) -> Vec<Arc<Endpoint>> {
        let mut kept = self.kept();
        let began = kept.began;
        let mut left = std::mem::take(&mut kept.lives);
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(found.len());
        for found in found {
            let key = key(found);
            if kept.lives.contains_key(&key) {
                // It was found twice: the first one says how.
                continue;
            }
            let known = left.remove(&key).filter(|live| live.is_watched_by(guards));
            let live = known.unwrap_or_else(|| {
                Arc::new(Live::new(guards, workers, &self.in_flight, began, now))
            });
            kept.lives.insert(key, Arc::clone(&live));
            endpoints.push(Arc::new(Endpoint::new(found, blueprint, live)));
        }
        kept.began |= !endpoints.is_empty();
        endpoints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Protocol;
    use std::time::Duration;

    const BLUEPRINT: Blueprint =
        Blueprint { protocol: Protocol::Http1, is_grpc: false, tls: false, sni: None };

    fn found(address: &str, weight: u32) -> Found {
        Found { weight, ..Found::at(address.parse().unwrap()).unwrap() }
    }

    fn endpoints(state: &State, found: &[Found], now: Instant) -> Vec<Arc<Endpoint>> {
        state.endpoints(found, &BLUEPRINT, &Guards::default(), 1, now)
    }

    #[test]
    fn an_endpoint_that_is_described_anew_is_known_still() {
        let now = Instant::now();
        let state = State::new(now);
        let before = endpoints(&state, &[found("10.0.0.1:80", 1), found("10.0.0.2:80", 1)], now);
        let after = endpoints(&state, &[found("10.0.0.2:80", 5), found("10.0.0.3:80", 1)], now);
        assert_eq!(after[0].weight, 5);
        assert!(Arc::ptr_eq(&before[1].live, &after[0].live));
        assert_eq!(state.kept().lives.len(), 2);
    }

    #[test]
    fn who_comes_later_is_new_and_who_was_there_at_the_start_is_not() {
        let now = Instant::now();
        let state = State::new(now);
        let later = now + Duration::from_secs(7);
        endpoints(&state, &[found("10.0.0.1:80", 1)], now);
        let both = endpoints(&state, &[found("10.0.0.1:80", 1), found("10.0.0.2:80", 1)], later);
        let ages: Vec<_> = both.iter().map(|one| one.live.age(later)).collect();
        assert_eq!(ages, [Some(Duration::MAX), Some(Duration::ZERO)]);
    }

    #[test]
    fn what_was_found_twice_is_one_endpoint() {
        let now = Instant::now();
        let state = State::new(now);
        let twice = [found("10.0.0.1:80", 3), found("10.0.0.1:80", 1)];
        let endpoints = endpoints(&state, &twice, now);
        assert_eq!(endpoints.iter().map(|one| one.weight).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_is_in_flight_counts_until_it_is_dropped() {
        let now = Instant::now();
        let state = State::new(now);
        let endpoints = endpoints(&state, &[found("10.0.0.1:80", 1)], now);
        let occupied = Arc::clone(&endpoints[0]).occupy();
        assert_eq!((state.in_flight(), endpoints[0].live.in_flight()), (1, 1));
        drop(occupied);
        assert_eq!((state.in_flight(), endpoints[0].live.in_flight()), (0, 0));
    }

    #[test]
    fn circuits_with_the_same_settings_are_one_and_old_ones_go() {
        let now = Instant::now();
        let state = State::new(now);
        let settings = breaker::Settings::default();
        let first = state.breaker(&settings, 1, now);
        assert!(Arc::ptr_eq(&first, &state.breaker(&settings, 1, now)));
        drop(first);
        let others = breaker::Settings { failures: Some(9), ..settings };
        let _other = state.breaker(&others, 1, now);
        assert_eq!(state.breakers().len(), 1);
    }
}
