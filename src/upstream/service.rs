//! A backend: what was said of it, and its endpoints as they come and go.

use super::bulkhead::{Bulkhead, Limits};
use super::discovery::{Found, Source};
use super::health::Check;
use super::{Balancing, Blueprint, Endpoint, Guards, Roster, State};
use crate::value::Template;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A backend and its endpoints.
#[derive(Debug)]
pub struct Service {
    /// What was said of it.
    pub plan: Plan,
    /// What is known of it while it serves.
    pub state: Arc<State>,
    /// How much of it may be in use at once, where that is bounded.
    pub bulkhead: Option<Arc<Bulkhead>>,
    roster: ArcSwap<Roster>,
}

/// What was said of a service.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: Arc<str>,
    /// Whether the client's `Host` goes on to it.
    pub preserve_host: bool,
    /// When a request goes to it on a connection that was used before.
    pub reuse: Reuse,
    /// What is the same for all its endpoints.
    pub blueprint: Blueprint,
    /// Where its endpoints come from; at least one.
    pub origins: Vec<Origin>,
    /// How long endpoints are kept when their origin has nothing better.
    pub keep: Duration,
    /// How its requests are spread over them.
    pub balancing: Balancing,
    /// What requests are kept together by, where they are.
    pub hash_key: Option<HashKey>,
    /// How they are asked whether they are well, if they are.
    pub check: Option<Arc<Check>>,
    /// How much of it may be in use at once, where that is bounded.
    pub limits: Option<Limits>,
    /// What is watched of each endpoint.
    pub guards: Guards,
    /// How many threads serve.
    pub workers: usize,
}

/// When a request goes to a service on a connection that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// When it may be repeated, or its client has to expect as much of its own connection.
    Safe,
    /// Whenever there is one.
    Always,
    /// Never.
    Never,
}

/// What requests are kept together by.
#[derive(Debug, Clone)]
pub enum HashKey {
    /// The client's address.
    Client,
    /// What a template says of the request.
    Template(Template),
}

/// Where endpoints come from.
#[derive(Debug)]
pub enum Origin {
    /// It was written down by its address.
    Fixed(Found),
    /// It was written down by its name, whose every address is an endpoint.
    Named {
        /// Who knows the addresses.
        source: Source,
        /// The weight of each.
        weight: u32,
        /// The priority of each.
        priority: u8,
    },
    /// They are discovered, with what is to be known of them.
    Discovered(Source),
}

impl Service {
    /// A service whose endpoints are still to be found.
    pub fn new(plan: Plan, state: Arc<State>) -> Self {
        let bulkhead = plan.limits.as_ref().map(|limits| state.bulkhead(limits, Instant::now()));
        Service { plan, state, bulkhead, roster: ArcSwap::default() }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.plan.name
    }

    /// Its endpoints at present.
    pub fn roster(&self) -> Guard<Arc<Roster>> {
        self.roster.load()
    }

    /// Publishes a roster.
    pub(super) fn publish(&self, roster: Roster) {
        self.roster.store(Arc::new(roster));
    }

    /// The endpoints that were found, each with what is known of it.
    pub(super) fn endpoints_of(&self, found: &[Found], now: Instant) -> Vec<Arc<Endpoint>> {
        let Plan { blueprint, guards, workers, .. } = &self.plan;
        self.state.endpoints(found, blueprint, guards, *workers, now)
    }
}
