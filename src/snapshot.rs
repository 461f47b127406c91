//! A document, compiled: what every request of one generation is served by.
//!
//! A snapshot is compiled whole and never changes. Each worker looks at it through a [`View`] of
//! its own, which adds what only that worker counts; a request pins the view that it began with,
//! so that it never sees two configurations, and the count of pins stays on its own core.

mod compile;
mod listener;
mod overview;
#[cfg(test)]
mod tests;
mod view;

pub use listener::Door;
pub use overview::{Overview, Row};
pub use view::{Current, ServiceView, View};

use crate::answer::Answer;
use crate::config::{Loaded, Report, Severity};
use crate::exchange::{Names, Parameters, Vouched};
use crate::issuer::Issuer;
use crate::issuer::introspection::Introspector;
use crate::jose::KeySet;
use crate::limit::talkers::Talkers;
use crate::overload;
use crate::policy::Chain;
use crate::policy::auth::Auth;
use crate::policy::rate_limit::{Limit, RateLimit};
use crate::route::Matcher;
use crate::shared::Shared;
use crate::store::Store;
use crate::telemetry::access_log::Options;
use crate::upstream::Service;
use crate::upstream::adaptive::Priority;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// A hash of the document: the same text is the same generation.
    pub generation: u64,
    /// Which route a request takes.
    pub matcher: Matcher,
    /// The policies of all routes, for the answers to requests that match none.
    pub unmatched: Chain,
    /// The routes, in the order of the document.
    pub routes: Vec<Route>,
    /// The services, in the order of the document.
    pub services: Vec<Arc<Service>>,
    /// The header that carries the request id.
    pub request_id_header: http::HeaderName,
    /// What services are told of who is asking.
    pub vouched: Arc<Vouched>,
    /// Which clients are refused most, for metrics.
    pub talkers: Arc<Talkers>,
    /// What several gateways share.
    pub stores: Vec<Arc<Store>>,
}

/// A compiled route.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Where the named parts of each of its paths are found.
    pub parameters: Vec<Option<Parameters>>,
    /// Its policies.
    pub chain: Chain,
    /// What answers it.
    pub answer: Answer,
    /// How long a whole exchange may take.
    pub time: Option<Duration>,
    /// How much its requests matter where there are too many.
    pub priority: Priority,
}

impl Snapshot {
    /// The issuers whose tokens some route takes.
    pub fn issuers(&self) -> Vec<Arc<Issuer<KeySet>>> {
        each(self.auths().flat_map(Auth::issuers))
    }

    /// Those who ask about tokens of some route.
    pub fn introspectors(&self) -> Vec<Arc<Introspector>> {
        each(self.auths().flat_map(Auth::introspectors))
    }

    /// The limits that hold for some route.
    pub fn limits(&self) -> Vec<Arc<Limit>> {
        let chains = self.routes.iter().map(|route| &route.chain);
        each(chains.filter_map(Chain::rate_limit).flat_map(RateLimit::limits))
    }

    fn auths(&self) -> impl Iterator<Item = &Auth> {
        self.routes.iter().filter_map(|route| route.chain.auth())
    }
}

/// Each of some shared things, once.
fn each<'a, T: 'a>(shared: impl Iterator<Item = &'a Arc<T>>) -> Vec<Arc<T>> {
    let mut seen = HashSet::new();
    shared.filter(|one| seen.insert(Arc::as_ptr(one))).cloned().collect()
}

impl Route {
    /// What it and its service are called.
    pub fn names(&self) -> Names {
        let only = self.answer.backends().filter(|backends| backends.split.is_none());
        let only = only.and_then(|backends| backends.all.first());
        let service = only.map(|backend| (**backend.service.name()).into());
        Names { route: (*self.name).into(), service }
    }

    /// Whether a service is asked on the gateway's own account, before or in the place of proxying.
    pub fn asks_services(&self) -> bool {
        self.answer.login().is_some() || self.chain.auth().is_some_and(Auth::asks_services)
    }
}

/// What of a document is not served by but run: it is bound to the process.
#[derive(Debug)]
pub struct Process {
    /// How many threads serve.
    pub threads: usize,
    /// The cores that they are pinned to, in turn.
    pub affinity: Vec<usize>,
    /// Where clients connect.
    pub doors: Vec<Door>,
    /// Where operators connect.
    pub admin: Option<Admin>,
    /// How the access log is written.
    pub access_log: Options,
    /// What it bears, where something is said of that.
    pub overload: Option<overload::Settings>,
    /// How long requests may go on after SIGTERM.
    pub grace: Duration,
}

/// Where operators connect.
#[derive(Debug)]
pub struct Admin {
    /// The address.
    pub address: SocketAddr,
    /// The bearer token that is asked for.
    pub token: Option<String>,
}

/// A whole compiled document.
#[derive(Debug)]
pub struct Compiled {
    /// What requests are served by.
    pub snapshot: Snapshot,
    /// What the process is.
    pub process: Process,
}

/// Reads and compiles a document, as serving it would, with what there is to remark on it. What is
/// known already of what it names is found in `shared`.
///
/// # Errors
///
/// Tells all that is wrong with it, as far as one mistake does not follow from another.
pub fn load(path: &Path, shared: &Shared) -> Result<(Compiled, Report), Report> {
    compile(Loaded::read(path)?, shared)
}

/// Compiles a document that was read.
///
/// # Errors
///
/// Tells all that is wrong with it, as far as one mistake does not follow from another.
pub fn compile(mut loaded: Loaded, shared: &Shared) -> Result<(Compiled, Report), Report> {
    let Some(document) = loaded.document.take() else {
        return Err(loaded.report());
    };
    let outcome = compile::compile(&document, generation(loaded.texts()), loaded.folder(), shared);
    for invalid in outcome.wrong {
        loaded.add(Severity::Error, invalid);
    }
    for invalid in outcome.remarks {
        loaded.add(Severity::Remark, invalid);
    }
    let report = loaded.report();
    match outcome.compiled {
        Some(compiled) if !report.has_errors() => Ok((compiled, report)),
        _ => Err(report),
    }
}

fn generation<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.for_each(|text| text.hash(&mut hasher));
    hasher.finish()
}
