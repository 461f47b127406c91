//! Routes: what they match, what answers them, and their policies.

use super::scopes::Scopes;
use super::{Problems, nobody};
use crate::answer::{Answer, Backend};
use crate::config::{Document, ListenerConfig, RouteConfig};
use crate::exchange::PathRules;
use crate::policy::Compiler;
use crate::route::Rule;
use crate::snapshot::Route;
use crate::snapshot::rule::{check_reference, loosest, parameters, rule};
use crate::upstream::Service;
use crate::value::{Invalid, NameMap};
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
pub fn routes(
    document: &Document,
    services: &[Option<Arc<Service>>],
    problems: &mut Problems,
) -> Vec<Compiled> {
    let mut routes = Routes {
        document,
        services,
        scopes: Scopes::new(document),
        paths: loosest(document.listeners.iter().map(ListenerConfig::paths)),
        compiler: Compiler::default(),
        names: HashSet::new(),
        problems,
    };
    let each = document.routes.iter().enumerate();
    each.filter_map(|(number, config)| routes.compile(number, config)).collect()
}

struct Routes<'a> {
    document: &'a Document,
    services: &'a [Option<Arc<Service>>],
    scopes: Scopes<'a>,
    paths: PathRules,
    compiler: Compiler,
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
        let (index, service) = self.answering(number, config)?;
        let scopes = self.scopes.of(number, config, index, self.problems)?;
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
        let parameters = parameters(&rule);
        for reference in &chain.references() {
            let checked = check_reference(reference, &config.name, &parameters);
            self.problems.take(checked.map_err(within));
        }
        let timeouts = stages.timeouts.as_deref().copied().unwrap_or_default();
        let answer = Answer::Service(Backend { service: service?, index, timeouts });
        let route = Route { name: config.name.as_str().into(), parameters, chain, answer };
        Some(Compiled { route, rule, number })
    }

    /// The service that answers and its number; no service where it is wrong itself.
    fn answering(
        &mut self,
        number: usize,
        config: &RouteConfig,
    ) -> Option<(usize, Option<Arc<Service>>)> {
        let within = |invalid: Invalid| invalid.under(number).under("routes");
        let Some(wanted) = &config.service else {
            let name = &config.name;
            let message = format!("route `{name}` has nothing that answers, write `service:`");
            self.problems.push(within(Invalid::new(message)));
            return None;
        };
        let Document { services, written, .. } = self.document;
        let Some(index) = services.position(wanted) else {
            let known = NameMap::iter(services).map(|(name, _)| name.as_str());
            let unknown = within(nobody("service", wanted, known).under("service"));
            self.problems.push_unless(written.services.contains(wanted.as_str()), unknown);
            return None;
        };
        Some((index, self.services[index].clone()))
    }
}
