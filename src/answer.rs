//! What answers a route: a service, which Pingora's proxying reaches, or the gateway itself.
//!
//! Each answer that the gateway gives by itself has a file below `answer/`. It makes a [`Reply`],
//! which leaves by the same door as a refusal, so that the policies of the route see it too.

pub mod login;
pub mod mirror;
pub mod redirect;
pub mod respond;
pub mod split;

use crate::exchange::References;
use crate::reply::{Rejection, Reply};
use crate::upstream::breaker::Breaker;
use crate::upstream::retry::Retry;
use crate::upstream::{HashKey, Service, Timeouts};
use crate::value::Reference;
use login::Login;
use mirror::Mirror;
use redirect::Redirect;
use respond::Respond;
use split::Split;
use std::sync::Arc;

/// What answers a route.
#[derive(Debug)]
pub enum Answer {
    /// A service, by way of Pingora's proxying.
    Service(Backends),
    /// The gateway, with what the configuration says.
    Respond(Respond),
    /// The gateway, with another place to ask.
    Redirect(Redirect),
    /// The gateway, with a token for credentials that a service says are good.
    Login(Box<Login>),
}

/// The services that may answer a route.
#[derive(Debug)]
pub struct Backends {
    /// All of them; at least one. Those that are asked in the place of others come last.
    pub all: Vec<Backend>,
    /// Which of them gets an exchange; the first does where nothing parts them.
    pub split: Option<Split>,
    /// What is mirrored.
    pub mirror: Option<Arc<Mirror>>,
}

/// A service as one route uses it.
#[derive(Debug)]
pub struct Backend {
    /// The service.
    pub service: Arc<Service>,
    /// Its number in the snapshot.
    pub index: usize,
    /// The times of an attempt.
    pub timeouts: Timeouts,
    /// When an attempt that failed is made again, where something is said of it.
    pub retry: Option<Arc<Retry>>,
    /// When nobody asks the service for a while.
    pub breaking: Option<Breaking>,
}

/// When nobody asks a service for a while, and what answers meanwhile.
#[derive(Debug)]
pub struct Breaking {
    /// The service's circuit; none where each endpoint has its own.
    pub breaker: Option<Arc<Breaker>>,
    /// What answers while it is open, if that is not a refusal.
    pub fallback: Option<Fallback>,
}

/// What answers in the place of a service. Each way to answer without it is a variant.
#[derive(Debug)]
pub enum Fallback {
    /// The gateway, with what the configuration says.
    Respond(Arc<Respond>),
    /// Another of the route's backends, by its number.
    Backend(usize),
}

impl Backend {
    /// When an attempt that failed is made again.
    pub fn retry(&self) -> &Retry {
        self.retry.as_deref().unwrap_or(&Retry::DEFAULT)
    }
}

impl Answer {
    /// The services that may answer, if it is a service that does.
    pub fn backends(&self) -> Option<&Backends> {
        match self {
            Answer::Service(backends) => Some(backends),
            Answer::Respond(_) | Answer::Redirect(_) | Answer::Login(_) => None,
        }
    }

    /// The login, if it is one.
    pub fn login(&self) -> Option<&Login> {
        match self {
            Answer::Login(login) => Some(login),
            _ => None,
        }
    }

    /// What the gateway answers by itself; none where a service is to be asked.
    pub fn reply(&self, references: References<'_>) -> Option<Result<Reply, Rejection>> {
        match self {
            Answer::Service(_) | Answer::Login(_) => None,
            Answer::Respond(respond) => Some(Ok(respond.reply(references))),
            Answer::Redirect(redirect) => Some(redirect.reply(references)),
        }
    }

    /// What its templates refer to.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Answer::Service(backends) => backends.references(),
            Answer::Respond(respond) => respond.references().collect(),
            Answer::Redirect(redirect) => redirect.references().collect(),
            Answer::Login(login) => login.references().collect(),
        }
    }
}

impl Backends {
    /// Whether attempts at any of them are hedged.
    pub fn are_hedged(&self) -> bool {
        self.all.iter().any(|backend| backend.retry().hedge.is_some())
    }

    fn references(&self) -> Vec<&Reference> {
        let mut references: Vec<&Reference> =
            self.split.iter().flat_map(Split::references).collect();
        for backend in self.all.iter().chain(self.mirror.iter().map(|mirror| &mirror.backend)) {
            if let Some(HashKey::Template(key)) = &backend.service.plan.hash_key {
                references.extend(key.references());
            }
            let fallback = backend.breaking.as_ref().and_then(|one| one.fallback.as_ref());
            if let Some(Fallback::Respond(respond)) = fallback {
                references.extend(respond.references());
            }
        }
        references
    }
}

#[cfg(test)]
impl Backend {
    /// A service of a name, without endpoints, for tests that need some backend.
    pub(crate) fn sample(name: &str) -> Self {
        use crate::upstream::{Balancing, Blueprint, Guards, Plan, Protocol, Reuse, State};
        use std::time::{Duration, Instant};
        let plan = Plan {
            name: name.into(),
            preserve_host: false,
            reuse: Reuse::Safe,
            blueprint: Blueprint {
                protocol: Protocol::Http1,
                is_grpc: false,
                tls: false,
                sni: None,
            },
            origins: Vec::new(),
            keep: Duration::ZERO,
            balancing: Balancing::default(),
            hash_key: None,
            check: None,
            limits: None,
            guards: Guards::default(),
            workers: 1,
        };
        let state = Arc::new(State::new(Instant::now()));
        let service = Arc::new(Service::new(plan, state));
        Backend { service, index: 0, timeouts: Timeouts::default(), retry: None, breaking: None }
    }
}
