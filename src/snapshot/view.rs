//! One worker's view of the snapshot that is served at present.

use super::{Route, Snapshot};
use crate::exchange::Parameters;
use crate::telemetry::metrics::{Metrics, RouteMetrics, ServiceMetrics, UNMATCHED};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A snapshot, and what one worker counts of it; its handles are found once, by number.
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    routes: Vec<RouteMetrics>,
    /// By route and path. Copies of its own, so that no two cores count the same references, or
    /// share what a regular expression remembers.
    parameters: Vec<Box<[Option<Arc<Parameters>>]>>,
    unmatched: RouteMetrics,
    services: Vec<ServiceView>,
}

/// What one worker counts of a service.
pub struct ServiceView {
    /// Its metrics.
    pub metrics: ServiceMetrics,
    turn: AtomicUsize,
}

impl View {
    /// A worker's view.
    pub fn new(snapshot: Arc<Snapshot>, metrics: &Metrics) -> Self {
        let service =
            |name: &str| ServiceView { metrics: metrics.service(name), turn: AtomicUsize::new(0) };
        let parameters = |route: &Route| {
            let paths = route.parameters.iter();
            paths.map(|path| path.clone().map(Arc::new)).collect()
        };
        View {
            parameters: snapshot.routes.iter().map(parameters).collect(),
            routes: snapshot.routes.iter().map(|route| metrics.route(&route.name)).collect(),
            unmatched: metrics.route(UNMATCHED),
            services: snapshot.services.iter().map(|one| service(one.name())).collect(),
            snapshot,
        }
    }

    /// The metrics of a route, or of the requests that match none.
    pub fn route(&self, index: Option<usize>) -> &RouteMetrics {
        index.map_or(&self.unmatched, |index| &self.routes[index])
    }

    /// Where the named parts of a route's path are found.
    pub fn parameters(&self, route: usize, path: usize) -> Option<Arc<Parameters>> {
        self.parameters[route].get(path)?.clone()
    }

    /// What is counted of a service.
    pub fn service(&self, index: usize) -> &ServiceView {
        &self.services[index]
    }
}

impl ServiceView {
    /// The next turn of this worker; each worker goes round by itself, so that no two cores write
    /// the same counter.
    pub fn turn(&self) -> usize {
        let turn = self.turn.load(Relaxed);
        self.turn.store(turn.wrapping_add(1), Relaxed);
        turn
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
