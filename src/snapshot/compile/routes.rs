//! Routes: what they match, what answers them, and their policies.

use super::Problems;
use super::answering::{Answering, answering, known};
use super::rule::{check_reference, loosest, parameters, rule};
use super::scopes::Scopes;
use crate::answer::mirror::Mirror;
use crate::answer::{Answer, Backend, Backends, Breaking, Fallback};
use crate::config::{Document, ListenerConfig, MirrorConfig, RouteConfig};
use crate::exchange::PathRules;
use crate::policy::circuit_breaker::CircuitBreaker;
use crate::policy::{self, Compiler, Scope};
use crate::route::Rule;
use crate::snapshot::Route;
use crate::upstream::Service;
use crate::value::{Invalid, Name, Step};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A route that was compiled, what the matcher has to know of it, and its place in the document.
pub struct Compiled {
    /// The route.
    pub route: Route,
    /// What it matches.
    pub rule: Rule,
    /// Its number in the document.
    pub number: usize,
}

/// Compiles the routes; those that are wrong are told and left out.
pub fn routes<'a>(
    document: &'a Document,
    services: &'a [Option<Arc<Service>>],
    folder: &'a Path,
    compiler: &'a mut Compiler,
    problems: &'a mut Problems,
) -> Vec<Compiled> {
    let mut routes = Routes {
        document,
        services,
        folder,
        scopes: Scopes::new(document),
        paths: loosest(document.listeners.iter().map(ListenerConfig::paths)),
        compiler,
        names: HashSet::new(),
        problems,
    };
    let mut compiled = Vec::with_capacity(document.routes.len());
    for (number, config) in document.routes.iter().enumerate() {
        if routes.problems.is_full() {
            break;
        }
        compiled.extend(routes.compile(number, config));
    }
    compiled
}

struct Routes<'a> {
    document: &'a Document,
    services: &'a [Option<Arc<Service>>],
    folder: &'a Path,
    scopes: Scopes<'a>,
    paths: PathRules,
    compiler: &'a mut Compiler,
    names: HashSet<&'a str>,
    problems: &'a mut Problems,
}

impl<'a> Routes<'a> {
    /// Compiles one route. What is wrong with its parts does not depend on each other, so each is
    /// looked at before it is given up.
    fn compile(&mut self, number: usize, config: &'a RouteConfig) -> Option<Compiled> {
        let within = |invalid: Invalid| invalid.under(number).under("routes");
        if !self.names.insert(config.name.as_str()) {
            let message = format!("route `{}` stands here twice", config.name);
            self.problems.push(within(Invalid::new(message).under("name")));
        }
        let rule =
            rule(&config.matches, self.paths).map_err(|invalid| within(invalid.under("match")));
        let rule = self.problems.take(rule);
        let answering =
            answering(config, self.document, self.services, self.folder).map_err(within);
        let answering = self.problems.take(answering)??;
        let scopes = self.scopes.of(number, config, &[], self.problems)?;
        let (chain, stages) = self.compiler.compile(&scopes, self.problems.all())?;
        if chain.auth().is_none() {
            let message = format!(
                "route `{}` has no auth decision: say who may ask, such as `auth: {{jwt: …}}`, or write \
                 `auth: none` if anyone may",
                config.name
            );
            let lost = self.document.written.lost_policies;
            self.problems.push_unless(lost, within(Invalid::new(message)));
            return None;
        }
        if chain.judges_nobody() {
            let message = format!(
                "route `{}` lets only some ask (`authorize`), and does not find out who is asking \
                 (`auth: none`)",
                config.name
            );
            self.problems.push(within(Invalid::new(message)));
        }
        let rule = rule?;
        let answer = match answering {
            Answering::Services(services, split) => {
                let all = self.backends(number, config, services)?;
                let mirror = match &config.mirror {
                    Some(mirror) => Some(Arc::new(self.mirror(number, config, mirror)?)),
                    None => None,
                };
                Answer::Service(Backends { all, split, mirror })
            }
            Answering::Respond(respond) => Answer::Respond(respond),
            Answering::Redirect(redirect) => Answer::Redirect(redirect),
            Answering::Login(login) => Answer::Login(login),
        };
        let parameters = parameters(&rule);
        for reference in chain.references().into_iter().chain(answer.references()) {
            let checked = check_reference(reference, &config.name, &parameters);
            self.problems.take(checked.map_err(within));
        }
        let time = stages.timeouts.as_deref().and_then(|timeouts| timeouts.request);
        let name = config.name.as_str().into();
        let priority = config.priority;
        let route = Route { name, parameters, chain, answer, time, priority };
        Some(Compiled { route, rule, number })
    }

    /// Finds what each service means to this route: its own block says how an attempt at it goes.
    fn backends(
        &mut self,
        number: usize,
        config: &RouteConfig,
        services: Vec<(usize, Arc<Service>)>,
    ) -> Option<Vec<Backend>> {
        let mut all = Vec::with_capacity(services.len());
        let mut wanted = Vec::with_capacity(services.len());
        for (index, service) in services {
            let (backend, fallback) = self.backend(number, config, index, service)?;
            all.push(backend);
            wanted.push(fallback);
        }
        for (position, fallback) in wanted.into_iter().enumerate() {
            let Some(fallback) = fallback else { continue };
            let index = self.fallback(fallback, &all[position])?;
            let known = all.iter().position(|backend| backend.index == index);
            let number = match known {
                Some(known) => known,
                None => {
                    // What answers in its place where it fails too is its own refusal.
                    let service = self.services[index].clone()?;
                    all.push(self.backend(number, config, index, service)?.0);
                    all.len() - 1
                }
            };
            if let Some(breaking) = &mut all[position].breaking {
                breaking.fallback = Some(Fallback::Backend(number));
            }
        }
        Some(all)
    }

    /// What a service means to this route, and which one is asked in its place.
    fn backend(
        &mut self,
        number: usize,
        config: &RouteConfig,
        index: usize,
        service: Arc<Service>,
    ) -> Option<(Backend, Option<Wanted>)> {
        let scopes = self.scopes.of(number, config, &[index], self.problems)?;
        let (_, stages) = self.compiler.compile(&scopes, self.problems.all())?;
        let (breaking, fallback) = match stages.circuit_breaker.as_deref() {
            None => (None, None),
            Some(CircuitBreaker { settings, per_endpoint, fallback }) => {
                let own = service.plan.guards.breaker.as_ref();
                let at = breaker_at(&scopes);
                if *per_endpoint && own != Some(settings) {
                    let message = "only a service's own `policies` can give each of its endpoints \
                                   a circuit";
                    self.problems.push(placed(Invalid::new(message).under("per_endpoint"), at));
                    return None;
                }
                let of_service =
                    || service.state.breaker(settings, service.plan.workers, Instant::now());
                let breaker = (!per_endpoint).then(of_service);
                let (fixed, other) = match fallback {
                    Some(policy::circuit_breaker::Fallback::Respond(respond)) => {
                        (Some(Fallback::Respond(Arc::clone(respond))), None)
                    }
                    Some(policy::circuit_breaker::Fallback::Service(name)) => {
                        (None, Some(Wanted { name: name.clone(), at }))
                    }
                    None => (None, None),
                };
                (Some(Breaking { breaker, fallback: fixed }), other)
            }
        };
        let backend = Backend {
            timeouts: stages.timeouts.as_deref().cloned().unwrap_or_default(),
            retry: stages.retry,
            breaking,
            service,
            index,
        };
        Some((backend, fallback))
    }

    /// What is mirrored.
    fn mirror(
        &mut self,
        number: usize,
        config: &RouteConfig,
        mirror: &MirrorConfig,
    ) -> Option<Mirror> {
        let within = |invalid: Invalid| invalid.under("mirror").under(number).under("routes");
        let known = known(&mirror.service, self.document, self.services);
        let known = known.map_err(|invalid| within(invalid.under("service")));
        let (index, service) = self.problems.take(known)??;
        let (backend, _) = self.backend(number, config, index, service)?;
        self.problems.take(mirror.compile(backend).map_err(within))
    }

    /// The number of the service that is asked in the place of another.
    fn fallback(&mut self, wanted: Wanted, of: &Backend) -> Option<usize> {
        let Wanted { name, at } = wanted;
        let known = known(&name, self.document, self.services);
        let known = known.and_then(|known| match known {
            Some((index, _)) if index == of.index => {
                Err(Invalid::new(format!("`{name}` cannot be asked in its own place")))
            }
            known => Ok(known),
        });
        let known = known.map_err(|no| placed(no.under("service").under("fallback"), at));
        Some(self.problems.take(known)??.0)
    }
}

/// The service that is to be asked in the place of another.
struct Wanted {
    name: Name,
    /// Where the circuit breaker that names it is written.
    at: Vec<Step>,
}

/// Where the circuit breaker that counts is written: in the last scope that says anything of one.
fn breaker_at(scopes: &[Scope<'_>]) -> Vec<Step> {
    let mut saying = scopes.iter().rev().filter(|scope| scope.block.circuit_breaker.is_some());
    let mut at = saying.next().map(|scope| scope.at.clone()).unwrap_or_default();
    at.push("circuit_breaker".into());
    at
}

/// Puts what is wrong below a place.
fn placed(invalid: Invalid, at: Vec<Step>) -> Invalid {
    at.into_iter().rev().fold(invalid, Invalid::under)
}
