//! A backend: what was said of it, and its endpoints as they come and go.

use super::roster::Roster;
use super::{Blueprint, Endpoint, Found, Live};
use arc_swap::{ArcSwap, Guard};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// A backend and its endpoints.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Whether the client's `Host` goes on to it.
    pub preserve_host: bool,
    /// What is the same for all its endpoints.
    pub blueprint: Blueprint,
    /// Where its endpoints come from; at least one.
    pub origins: Vec<Origin>,
    /// What is known of it while it serves.
    pub state: Arc<State>,
    roster: ArcSwap<Roster>,
}

/// Where endpoints come from.
#[derive(Debug)]
pub enum Origin {
    /// One that was written down by its address.
    Fixed(Found),
    /// Those that a name resolves to, each with this weight and priority.
    Named {
        /// The name.
        name: Arc<str>,
        /// Their port.
        port: u16,
        /// The weight of each.
        weight: u32,
        /// The priority of each.
        priority: u8,
    },
}

/// What is known of a service while it serves, under its name: it outlives a reload.
#[derive(Debug, Default)]
pub struct State {
    /// Wakes the keeper, when a worker has seen what the keeper must decide on.
    pub wake: Notify,
    /// What is known of the endpoints. The keeper alone asks for it, workers hold their own.
    lives: Mutex<HashMap<Box<str>, Arc<Live>>>,
}

impl Service {
    /// A service whose endpoints are still to be found.
    pub fn new(
        name: Arc<str>,
        preserve_host: bool,
        blueprint: Blueprint,
        origins: Vec<Origin>,
        state: Arc<State>,
    ) -> Self {
        let roster = ArcSwap::default();
        Service { name, preserve_host, blueprint, origins, state, roster }
    }

    /// Its endpoints at present.
    pub fn roster(&self) -> Guard<Arc<Roster>> {
        self.roster.load()
    }

    /// Publishes the endpoints that were found.
    pub fn publish(&self, found: &[Found], now: Instant) {
        let endpoints = self.state.endpoints(found, &self.blueprint, now);
        self.roster.store(Arc::new(Roster::new(endpoints)));
    }
}

impl State {
    /// The endpoints that were found, each with what is known of it, and forgets the others.
    fn endpoints(
        &self,
        found: &[Found],
        blueprint: &Blueprint,
        now: Instant,
    ) -> Vec<Arc<Endpoint>> {
        let mut lives = self.lives();
        let mut left = std::mem::take(&mut *lives);
        let endpoint = |found: &Found| {
            let key = found.key();
            let live = lives.get(&key).cloned().or_else(|| left.remove(&key));
            let live = live.unwrap_or_else(|| Arc::new(Live::new(now)));
            lives.insert(key, Arc::clone(&live));
            Arc::new(Endpoint::new(found, blueprint, live))
        };
        found.iter().map(endpoint).collect()
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Live>>> {
        // Nobody panics with the lock, and what it holds is whole at any time.
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
