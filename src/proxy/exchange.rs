//! One request and its response, as the proxy's stages carry it.

use super::mirror::Mirroring;
use super::watch::Watch;
use crate::answer::Backend;
use crate::exchange::{Facts, InFlight};
use crate::overload::Admitted;
use crate::policy::States;
use crate::reply::Rejection;
use crate::snapshot::{Route, View};
use crate::upstream::breaker::Pass;
use crate::upstream::bulkhead::Permit;
use crate::upstream::{Endpoint, Occupied};
use std::os::fd::RawFd;
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
    /// Whether it is the client who wants it over by then, which says nothing of a service that
    /// does not make it.
    pub is_hasty: bool,
    /// Whether it asks for a tunnel, which a service may open with 101.
    pub tunnel: bool,
    /// Its attempts at a service.
    pub attempts: Attempts,
    /// The copy that goes to another service, if one does.
    pub mirroring: Option<Box<Mirroring>>,
    /// What there was to say when an answer could not be given there and then.
    pub rejection: Option<Rejection>,
    /// Ends its time in flight when it is dropped.
    pub in_flight: InFlight,
    /// Counts it in the process until it is dropped, where that is watched and once it was let in.
    pub admitted: Option<Admitted>,
}

/// The attempts of one exchange.
#[derive(Debug, Default)]
pub struct Attempts {
    /// The number of the backend that was chosen, among those of the route.
    pub backend: usize,
    /// How many there were.
    pub count: u32,
    /// How many of them count as tries: one on a connection that was closed in the pool does not.
    pub tries: u32,
    /// Whether one was.
    pub pooled_closed: bool,
    /// The endpoints that failed.
    pub tried: Vec<Arc<Endpoint>>,
    /// What the next one has to be.
    pub next: Next,
    /// The leave of the service's circuit for the next one, where it was given already.
    pub pass: Option<Pass>,
    /// When the present one began.
    pub began: Option<Instant>,
    /// How long the one took that was answered.
    pub took: Duration,
    /// How long all of them took until they failed or the service's head came.
    pub waited: Duration,
    /// When the service's head came.
    pub answered: Option<Instant>,
    /// The endpoint of the present one, or of the last.
    pub endpoint: Option<Arc<Endpoint>>,
    /// What the present one holds.
    pub held: Held,
    /// The place of the exchange in the service's compartment. It is given back after what the
    /// attempts hold.
    pub place: Option<Permit>,
}

/// What the next attempt has to be.
#[derive(Debug, Default)]
pub struct Next {
    /// How long it waits.
    pub after: Duration,
    /// Whether it needs a connection that was not used before.
    pub is_fresh: bool,
}

/// What an attempt holds while it is in flight.
#[derive(Debug, Default)]
pub struct Held {
    /// Counts it at its endpoint.
    pub occupied: Option<Occupied>,
    /// Its connection's place in the service's compartment.
    pub connection: Option<Permit>,
    /// The leave of the service's circuit.
    pub pass: Option<Pass>,
    /// The leave of the endpoint's own circuit.
    pub endpoint_pass: Option<Pass>,
    /// Keeps its time, where nothing else does.
    pub watch: Option<Watch>,
    /// The connection whose time is kept so, until a head has come.
    pub connection_to_watch: Option<RawFd>,
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

    /// Lets it end no later than at a moment.
    pub fn shorten(&mut self, deadline: Instant) {
        if self.deadline.is_none_or(|known| deadline < known) {
            self.deadline = Some(deadline);
            self.facts.connection.set_deadline(self.deadline);
        }
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
