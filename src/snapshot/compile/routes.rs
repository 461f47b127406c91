//! Routes: what they match, what answers them, and their policies.

use super::Problems;
use super::answering::{Answering, answering};
use super::rule::{check_reference, loosest, parameters, rule};
use super::scopes::Scopes;
use crate::answer::{Answer, Backend, Backends};
use crate::config::{Document, ListenerConfig, RouteConfig};
use crate::exchange::PathRules;
use crate::policy::Compiler;
use crate::route::Rule;
use crate::snapshot::Route;
use crate::upstream::Service;
use crate::value::Invalid;
use std::collections::HashSet;
use std::sync::Arc;

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
    compiler: &'a mut Compiler,
    problems: &'a mut Problems,
) -> Vec<Compiled> {
    let mut routes = Routes {
        document,
        services,
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
        let answering = answering(config, self.document, self.services).map_err(within);
        let answering = self.problems.take(answering)??;
        let scopes = self.scopes.of(number, config, &[], self.problems)?;
        let (chain, stages) = self.compiler.compile(&scopes, self.problems.all())?;
        if stages.auth.is_none() {
            let message = format!(
                "route `{}` has no auth decision, write `auth: none` if anyone may ask",
                config.name
            );
            let lost = self.document.written.lost_policies;
            self.problems.push_unless(lost, within(Invalid::new(message)));
            return None;
        }
        let rule = rule?;
        let answer = match answering {
            Answering::Services(services) => {
                Answer::Service(self.backends(number, config, services)?)
            }
            Answering::Respond(respond) => Answer::Respond(respond),
            Answering::Redirect(redirect) => Answer::Redirect(redirect),
        };
        let parameters = parameters(&rule);
        for reference in chain.references().into_iter().chain(answer.references()) {
            let checked = check_reference(reference, &config.name, &parameters);
            self.problems.take(checked.map_err(within));
        }
        let time = stages.timeouts.as_deref().and_then(|timeouts| timeouts.request);
        let name = config.name.as_str().into();
        let route = Route { name, parameters, chain, answer, time };
        Some(Compiled { route, rule, number })
    }

    /// Finds what each service means to this route: its own block says how an attempt at it goes.
    fn backends(
        &mut self,
        number: usize,
        config: &RouteConfig,
        services: Vec<(usize, Arc<Service>)>,
    ) -> Option<Backends> {
        let mut all = Vec::with_capacity(services.len());
        for (index, service) in services {
            let scopes = self.scopes.of(number, config, &[index], self.problems)?;
            let (_, stages) = self.compiler.compile(&scopes, self.problems.all())?;
            let timeouts = stages.timeouts.as_deref().copied().unwrap_or_default();
            all.push(Backend { service, index, timeouts });
        }
        Some(Backends { all })
    }
}
