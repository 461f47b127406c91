//! The endpoints of a service at one moment, and which of them get requests.
//!
//! The keeper makes a roster whenever something has changed, and publishes it; workers read it
//! without a lock.

use super::Endpoint;
use super::balance::serving::{Rules, Serving, Stage, Standing, serving};
use super::balance::{Algorithm, Asked, Balancer};
use super::health::State;
use crate::value::Percent;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How requests are spread over endpoints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balancing {
    /// Which endpoint gets a request.
    pub algorithm: Algorithm,
    /// Which endpoints get requests at all.
    pub rules: Rules,
}

/// The share of a priority below which the next one serves, where nothing is said.
const FAILOVER_BELOW: Percent = Percent::new(50);

impl Default for Balancing {
    fn default() -> Self {
        let rules = Rules { failover_below: FAILOVER_BELOW, panic_below: None, slow_start: None };
        Balancing { algorithm: Algorithm::RoundRobin, rules }
    }
}

/// The endpoints of a service at one moment.
#[derive(Debug)]
pub struct Roster {
    endpoints: Vec<Arc<Endpoint>>,
    balancer: Balancer,
    /// Those that would serve if those of `balancer` could not: what is left for a request that has
    /// found each of them dead, until the keeper knows as well.
    spare: Balancer,
    stage: Stage,
    next_change: Option<Duration>,
}

impl Roster {
    /// A roster of these endpoints, of which those get requests that can serve `now`.
    pub fn new(endpoints: Vec<Arc<Endpoint>>, balancing: &Balancing, now: Instant) -> Self {
        let mut standings = standings(&endpoints, now);
        let Serving { shares, stage, next_change } = serving(&standings, &balancing.rules);
        let key_of = |index: u32| &*endpoints[index as usize].key;
        let balancer = Balancer::new(balancing.algorithm, &shares, key_of);
        shares.each.iter().for_each(|one| standings[one.index as usize].available = false);
        let rules = Rules { panic_below: None, ..balancing.rules };
        let spare = Balancer::new(Algorithm::Random, &serving(&standings, &rules).shares, key_of);
        Roster { endpoints, balancer, spare, stage, next_change }
    }

    /// All endpoints, whether or not they get requests.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// On what grounds those serve that do.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// After what time it has to be made anew though nothing else has changed.
    pub fn next_change(&self) -> Option<Duration> {
        self.next_change
    }

    /// Picks an endpoint; one that was not tried before, while there is one. A request that has tried
    /// all that serve gets one of those that would serve without them.
    ///
    /// `closed` says of an endpoint that it may not be asked at all.
    pub fn pick<R: FnMut() -> u64>(
        &self,
        asked: &mut Asked<'_, R>,
        tried: &[Arc<Endpoint>],
        closed: impl Fn(&Endpoint) -> bool,
    ) -> Option<&Arc<Endpoint>> {
        let was_tried = |endpoint: &Endpoint| tried.iter().any(|one| one.key == endpoint.key);
        let endpoints = &self.endpoints;
        let is_out = |index: usize| was_tried(&endpoints[index]) || closed(&endpoints[index]);
        let index = match self.balancer.pick_except(endpoints, asked, is_out) {
            None if !tried.is_empty() => {
                self.spare.pick_except(endpoints, asked, is_out).or_else(|| {
                    self.balancer.pick_except(endpoints, asked, |index| closed(&endpoints[index]))
                })
            }
            new => new,
        };
        index.map(|index| &endpoints[index])
    }
}

/// How these endpoints stand.
///
/// A newcomer that is still to be checked waits for that while one that was found well serves: a
/// list that grew by a thousand dead addresses would send every request there first.
fn standings(endpoints: &[Arc<Endpoint>], now: Instant) -> Vec<Standing> {
    let mut newcomers = Vec::new();
    let mut is_one_well = false;
    let standing = |(index, endpoint): (usize, &Arc<Endpoint>)| {
        let age = endpoint.live.age(now);
        match (endpoint.live.health().state(), age) {
            (State::Healthy, Some(_)) => is_one_well = true,
            (State::Unknown, Some(age)) if age < Duration::MAX => newcomers.push(index),
            _ => {}
        }
        Standing {
            weight: endpoint.weight,
            priority: endpoint.priority,
            available: age.is_some(),
            age: age.unwrap_or_default(),
        }
    };
    let mut standings: Vec<Standing> = endpoints.iter().enumerate().map(standing).collect();
    if is_one_well {
        newcomers.into_iter().for_each(|index| standings[index].available = false);
    }
    standings
}

impl Default for Roster {
    fn default() -> Self {
        Roster::new(Vec::new(), &Balancing::default(), Instant::now())
    }
}
