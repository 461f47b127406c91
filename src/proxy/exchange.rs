//! One request and its response, as the proxy's stages carry it.

use crate::answer::Backend;
use crate::exchange::{Facts, InFlight};
use crate::policy::States;
use crate::reply::Rejection;
use crate::snapshot::{Route, View};
use crate::upstream::{Endpoint, Occupied};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request and its response.
pub struct Exchange {
    /// The view that it began with, and by which all of it is served.
    pub view: Arc<View>,
    /// What is known of the request.
    pub facts: Facts,
    /// What the policies remember of it.
    pub states: States,
    /// The number of its route, once it is routed.
    pub route: Option<usize>,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// Whether it asks for a tunnel, which a service may open with 101.
    pub tunnel: bool,
    /// Its attempts at a service.
    pub attempts: Attempts,
    /// What there was to say when an answer could not be given there and then.
    pub rejection: Option<Rejection>,
    /// What went wrong, for the log alone.
    pub cause: Option<String>,
    /// Ends its time in flight when it is dropped.
    pub in_flight: InFlight,
}

/// The attempts of one exchange.
#[derive(Debug, Default)]
pub struct Attempts {
    /// How many there were.
    pub count: u32,
    /// The number of the backend that was chosen, among those of the route.
    pub backend: usize,
    /// The endpoints that failed.
    pub tried: Vec<Arc<Endpoint>>,
    /// When the present one began.
    pub began: Option<Instant>,
    /// How long all of them took until they failed or the service's head came.
    pub waited: Duration,
    /// When the service's head came.
    pub answered: Option<Instant>,
    /// The endpoint of the present one, or of the last.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Counts the present one at its endpoint.
    pub occupied: Option<Occupied>,
}

impl Exchange {
    /// Its route, once it is routed.
    pub fn route(&self) -> Option<&Route> {
        Some(&self.view.snapshot.routes[self.route?])
    }

    /// The service that is to answer it, if it is routed to one.
    pub fn backend(&self) -> Option<&Backend> {
        self.route()?.answer.backends()?.all.get(self.attempts.backend)
    }

    /// Whether its whole time is over.
    pub fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether its time is over: by the clock, or because its connection was cut for it.
    pub fn is_late(&self) -> bool {
        self.is_overdue() || self.facts.connection.timed_out()
    }
}

impl Attempts {
    /// The present attempt has failed: the next one prefers another endpoint.
    pub fn fail(&mut self) {
        self.settle();
        if self.occupied.take().is_some() {
            self.tried.extend(self.endpoint.clone());
        }
    }

    /// The present attempt's waiting is over, as an answer has come or it failed; the duration of
    /// the wait, the first time.
    pub fn settle(&mut self) -> Option<(Instant, Duration)> {
        let began = self.began.take()?;
        let now = Instant::now();
        let waited = now - began;
        self.waited += waited;
        Some((now, waited))
    }
}
