//! From what was typed to what it means. What is wrong is collected, as far as one mistake does
//! not follow from another; what is legal and dangerous is remarked.

mod answering;
mod jwks;
mod remarks;
mod routes;
pub mod rule;
pub mod scopes;
mod services;

use super::{Admin, Compiled, Door, Process, Snapshot};
use crate::config::{Document, ListenerConfig, Threads};
use crate::credential::Place;
use crate::overload::memory;
use crate::policy::auth::Auth;
use crate::policy::auth::consumers::Consumers;
use crate::policy::{Build, Compiler};
use crate::route::Matcher;
use crate::shared::Shared;
use crate::store::{Store, StoreConfig};
use crate::telemetry::access_log::{Masked, Options};
use crate::value::{Invalid, Name};
use http::HeaderName;
use http::header::HOST;
use rule::loosest;
use services::Ground;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The header that carries the request id, where the document names none.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long requests may go on after SIGTERM, where the document does not say.
const GRACE: Duration = Duration::from_secs(30);

/// What came of compiling a document.
pub struct Outcome {
    /// What it means, as far as nothing is wrong.
    pub compiled: Option<Compiled>,
    /// What is wrong.
    pub wrong: Vec<Invalid>,
    /// What is legal, and may not be what was meant.
    pub remarks: Vec<Invalid>,
}

/// How much is collected: who has more wrong has made one mistake that leads to others.
const ENOUGH: usize = 50;

/// Collects what is wrong.
#[derive(Default)]
pub struct Problems(Vec<Invalid>);

impl Problems {
    fn push(&mut self, invalid: Invalid) {
        self.0.push(invalid);
    }

    /// Collects it unless it only follows from something that is told already.
    fn push_unless(&mut self, follows: bool, invalid: Invalid) {
        if !follows {
            self.push(invalid);
        }
    }

    /// Takes what is right, and collects what is wrong.
    fn take<T>(&mut self, result: Result<T, Invalid>) -> Option<T> {
        result.map_err(|invalid| self.push(invalid)).ok()
    }

    /// Whether so much is wrong that looking for more only costs time.
    fn is_full(&self) -> bool {
        self.0.len() >= ENOUGH
    }

    fn all(&mut self) -> &mut Vec<Invalid> {
        &mut self.0
    }
}

/// Compiles a document; its files are found from `folder`.
pub fn compile(document: &Document, generation: u64, folder: &Path, shared: &Shared) -> Outcome {
    let mut problems = Problems::default();
    let process = process(document, folder, &mut problems);
    let ground = Ground { folder, shared, workers: workers(document.threads) };
    let services = services::services(&document.services, &ground, &mut problems);
    let vouched = document.identity.compile(folder).map_err(|invalid| invalid.under("identity"));
    let vouched = problems.take(vouched).map(Arc::new);
    let names = document.services.iter().map(|(name, _)| name.clone());
    let build = Build {
        folder: folder.to_owned(),
        services: names.zip(services.iter().cloned()).collect(),
        vouched: vouched.clone().unwrap_or_default(),
        consumers: Arc::new(Consumers::compile(
            &document.consumers,
            shared.verifier(),
            problems.all(),
        )),
        issuers: Arc::clone(&shared.issuers),
        limits: Arc::clone(&shared.limits),
        stores: stores(document, folder, shared, &mut problems),
    };
    let stores = build.stores.iter().filter_map(|(_, store)| store.clone()).collect();
    let mut compiler = Compiler::new(build);
    let mut compiled = routes::routes(document, &services, folder, &mut compiler, &mut problems);
    if let Some(vouched) = &vouched {
        let paths = loosest(document.listeners.iter().map(ListenerConfig::paths));
        let jwks = jwks::routes(document, &compiled, vouched, paths, &mut compiler, &mut problems);
        compiled.extend(jwks.into_iter().flatten());
    }
    let unmatched = compiler.compile(&[scopes::everywhere(document)], problems.all());
    let mut routes = Vec::with_capacity(compiled.len());
    let mut rules = Vec::with_capacity(compiled.len());
    let mut numbers = Vec::with_capacity(compiled.len());
    for routes::Compiled { route, rule, number } in compiled {
        routes.push(route);
        rules.push(rule);
        numbers.push(number);
    }
    let matcher = match Matcher::compile(&rules) {
        Ok(matcher) => Some(matcher),
        Err(conflicts) => {
            let name = |position: usize| &*routes[position].name;
            for conflict in conflicts.iter().take(ENOUGH) {
                problems.push(rule::at_odds(conflict, name, &numbers));
            }
            None
        }
    };
    let header = document.telemetry.request_id.header.as_ref();
    let request_id_header = header.map_or(Ok(REQUEST_ID), |name| {
        let within =
            |invalid: Invalid| invalid.under("header").under("request_id").under("telemetry");
        match **name == HOST {
            true => Err(within(Invalid::new("`host` names the host, it can carry no id"))),
            false => name.editable().map_err(within),
        }
    });
    let request_id_header = problems.take(request_id_header);
    let Problems(wrong) = problems;
    let mut remarks = remarks::remarks(document);
    remarks.truncate(ENOUGH);
    let snapshot = || {
        let services = services.into_iter().collect::<Option<_>>()?;
        let (matcher, (unmatched, _)) = (matcher?, unmatched?);
        let (request_id_header, vouched) = (request_id_header?, vouched?);
        Some(Snapshot {
            generation,
            matcher,
            unmatched,
            routes,
            services,
            request_id_header,
            vouched,
            talkers: Arc::clone(&shared.talkers),
            stores,
        })
    };
    let compiled = snapshot().zip(process);
    let compiled = compiled.map(|(snapshot, mut process)| {
        mask_credentials(&snapshot, &mut process.access_log);
        Compiled { snapshot, process }
    });
    Outcome { compiled: compiled.filter(|_| wrong.is_empty()), wrong, remarks }
}

/// The stores by name; none where one is wrong, which is told.
fn stores(
    document: &Document,
    folder: &Path,
    shared: &Shared,
    problems: &mut Problems,
) -> Vec<(Name, Option<Arc<Store>>)> {
    let compile = |(name, config): (&Name, &StoreConfig)| {
        let settings = config.compile(name, folder);
        let settings = settings.map_err(|invalid| invalid.under(name.as_str()).under("stores"));
        (name.clone(), problems.take(settings).map(|settings| shared.stores.of(settings)))
    };
    document.stores.iter().map(compile).collect()
}

fn process(document: &Document, folder: &Path, problems: &mut Problems) -> Option<Process> {
    if document.listeners.is_empty() {
        let message = "a gateway without a listener serves nobody";
        problems.push(Invalid::new(message).under("listeners"));
    }
    let mut names = HashSet::new();
    let mut addresses = HashMap::new();
    let mut doors = Vec::new();
    for (index, config) in document.listeners.iter().enumerate() {
        let within = |invalid: Invalid| invalid.under(index).under("listeners");
        if !names.insert(config.name.as_str()) {
            let message = format!("listener `{}` stands here twice", config.name);
            problems.push(within(Invalid::new(message).under("name")));
        }
        let taken = addresses.insert(config.address, config.name.as_str());
        if let Some(other) = taken.filter(|_| config.address.port() != 0) {
            let message = format!("listener `{other}` is already at {}", config.address);
            problems.push(within(Invalid::new(message).under("address")));
        }
        if document.admin.as_ref().is_some_and(|admin| admin.address == config.address)
            && config.address.port() != 0
        {
            let message = format!("`admin` is at {} too", config.address);
            problems.push(within(Invalid::new(message).under("address")));
        }
        doors.extend(problems.take(Door::compile(config, folder).map_err(within)));
    }
    let admin = document.admin.as_ref().map(|admin| {
        let token = admin.token.as_ref().map(|token| {
            let literal = token.as_literal().map(str::to_owned);
            literal.filter(|token| !token.is_empty()).ok_or_else(|| {
                let message = "a token is text or `$(env:NAME)`, and not empty";
                Invalid::new(message).under("token").under("admin")
            })
        });
        Ok(Admin { address: admin.address, token: token.transpose()? })
    });
    let overload = document.overload.as_ref().map(|overload| {
        let memory = || memory::limit(Path::new("/"));
        overload.compile(memory).map_err(|invalid| invalid.under("overload"))
    });
    let overload = problems.take(overload.transpose());
    Some(Process {
        threads: workers(document.threads),
        affinity: document.affinity.clone(),
        doors,
        admin: problems.take(admin.transpose())?,
        access_log: document.telemetry.access_log.options(),
        overload: overload?,
        grace: document.shutdown.grace.map_or(GRACE, |grace| *grace),
    })
}

/// Keeps the credentials of all routes out of the access log, wherever they stand. A field `Cookie` is
/// never written as it is.
fn mask_credentials(snapshot: &Snapshot, access_log: &mut Options) {
    for place in snapshot.auths().flat_map(Auth::places) {
        let masked = match place {
            Place::Header(name) => Masked::Header(name.clone()),
            Place::Query(name) => Masked::Query(name.to_string()),
            Place::Bearer | Place::Cookie(_) => continue,
        };
        if !access_log.mask.contains(&masked) {
            access_log.mask.push(masked);
        }
    }
}

/// How many threads serve.
fn workers(threads: Threads) -> usize {
    match threads {
        Threads::Auto => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        Threads::Count(count) => count,
    }
}
