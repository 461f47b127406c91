//! What is known of a service while it serves, under its name: it outlives a reload.

use super::breaker::{self, Breaker};
use super::bulkhead::{Bulkhead, Limits};
use super::discovery::Found;
use super::endpoint::key;
use super::outlier::Ejections;
use super::padded::Padded;
use super::retry::RetryBudget;
use super::{Blueprint, Endpoint, Guards, Live};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let mut breakers = locked(&self.breakers);
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
        let mut bulkhead = locked(&self.bulkhead);
        match &*bulkhead {
            Some(known) if known.limits() == limits => Arc::clone(known),
            _ => Arc::clone(bulkhead.insert(Arc::new(Bulkhead::new(*limits, now)))),
        }
    }

    /// Its circuits.
    pub fn breakers(&self) -> Vec<Arc<Breaker>> {
        locked(&self.breakers).clone()
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
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

/// Nobody panics with these locks, and what they hold is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
