//! One worker's view of the snapshot that is served at present.

use super::{Route, Snapshot};
use crate::exchange::{Names, Parameters};
use crate::telemetry::metrics::{Metrics, MirrorMetrics, RouteMetrics, ServiceMetrics, UNMATCHED};
use crate::upstream::balance::Turn;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// A snapshot, and what one worker counts of it; its handles are found once, by number.
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    routes: Vec<RouteMetrics>,
    /// By route and path. Copies of its own, so that no two cores count the same references, or
    /// share what a regular expression remembers.
    parameters: Vec<Box<[Option<Arc<Parameters>>]>>,
    /// By route; copies of its own too.
    names: Vec<Arc<Names>>,
    unmatched: RouteMetrics,
    services: Vec<ServiceView>,
    mirrors: Vec<Option<Arc<MirrorMetrics>>>,
    /// The worker's number.
    pub worker: usize,
}

/// What one worker counts of a service.
pub struct ServiceView {
    /// Its metrics.
    pub metrics: ServiceMetrics,
    /// Whose turn it is; each worker goes round by itself, so that no two cores write the same
    /// counter.
    pub turn: Turn,
}

impl View {
    /// A worker's view.
    pub fn new(snapshot: Arc<Snapshot>, metrics: &Metrics, worker: usize) -> Self {
        let service = |name: &str| ServiceView {
            metrics: metrics.service(name),
            turn: Turn::new(fastrand::u64(..)),
        };
        let mirror = |route: &Route| {
            let backends = route.answer.backends()?;
            backends.mirror.as_ref().map(|_| Arc::new(metrics.mirror(&route.name)))
        };
        let parameters = |route: &Route| {
            let paths = route.parameters.iter();
            paths.map(|path| path.clone().map(Arc::new)).collect()
        };
        View {
            parameters: snapshot.routes.iter().map(parameters).collect(),
            routes: snapshot.routes.iter().map(|route| metrics.route(&route.name)).collect(),
            mirrors: snapshot.routes.iter().map(mirror).collect(),
            names: snapshot.routes.iter().map(|route| Arc::new(route.names())).collect(),
            worker,
            unmatched: metrics.route(UNMATCHED),
            services: snapshot.services.iter().map(|one| service(one.name())).collect(),
            snapshot,
        }
    }

    /// The metrics of a route, or of the requests that match none.
    pub fn route(&self, index: Option<usize>) -> &RouteMetrics {
        index.map_or(&self.unmatched, |index| &self.routes[index])
    }

    /// What a route and its service are called.
    pub fn names(&self, route: usize) -> Arc<Names> {
        Arc::clone(&self.names[route])
    }

    /// Where the named parts of a route's path are found.
    pub fn parameters(&self, route: usize, path: usize) -> Option<Arc<Parameters>> {
        self.parameters[route].get(path)?.clone()
    }

    /// What is counted of the copies of a route's requests, where there are any.
    pub fn mirror(&self, route: usize) -> Option<&Arc<MirrorMetrics>> {
        self.mirrors[route].as_ref()
    }

    /// What is counted of a service.
    pub fn service(&self, index: usize) -> &ServiceView {
        &self.services[index]
    }
}

/// The view that a worker serves by at present; the one place that a new snapshot is put.
pub struct Current(ArcSwap<View>);

impl Current {
    /// Begins with a view.
    pub fn new(view: View) -> Self {
        Current(ArcSwap::from_pointee(view))
    }

    /// Pins the present view, for one request.
    pub fn pin(&self) -> Arc<View> {
        self.0.load_full()
    }
}
