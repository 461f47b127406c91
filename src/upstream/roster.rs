//! The endpoints of a service at one moment, and which of them get requests.
//!
//! The keeper makes a roster whenever something has changed, and publishes it; workers read it
//! without a lock.

use super::Endpoint;
use std::sync::Arc;

/// The endpoints of a service at one moment.
#[derive(Debug, Default)]
pub struct Roster {
    endpoints: Vec<Arc<Endpoint>>,
}

impl Roster {
    /// A roster of these endpoints.
    pub fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Roster { endpoints }
    }

    /// All endpoints, whether or not they get requests.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Picks an endpoint for a turn; one that was not tried before, while there is one.
    pub fn pick(&self, turn: usize, tried: &[Arc<Endpoint>]) -> Option<&Arc<Endpoint>> {
        let count = self.endpoints.len();
        let in_turn = || (turn..turn + count).map(|turn| &self.endpoints[turn % count]);
        let is_new = |one: &&Arc<Endpoint>| !tried.iter().any(|tried| tried.key == one.key);
        in_turn().find(is_new).or_else(|| in_turn().next())
    }
}
