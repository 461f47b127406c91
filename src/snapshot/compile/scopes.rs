//! Where the policies of a route come from.

use super::Problems;
use crate::config::{AttemptPolicies, Document, RouteConfig, ServiceConfig};
use crate::policy::timeouts::AttemptConfig;
use crate::policy::{Block, Scope, Setting};
use crate::value::{Invalid, Step, nobody};

/// The blocks of a document that routes take their policies from, each with its number.
pub struct Scopes<'a> {
    document: &'a Document,
    services: Vec<Block>,
}

impl<'a> Scopes<'a> {
    /// The blocks of a document.
    pub fn new(document: &'a Document) -> Self {
        let block = |config: &ServiceConfig| {
            let AttemptPolicies { timeouts, retry, circuit_breaker } = config.policies.clone();
            let timeouts = timeouts.map(|setting| {
                let attempt = match setting {
                    Setting::Off => AttemptConfig::default(),
                    Setting::Set(attempt) => attempt,
                };
                Setting::Set(attempt.into())
            });
            Block { timeouts, retry, circuit_breaker, ..Block::default() }
        };
        Scopes { services: document.services.iter().map(|(_, one)| block(one)).collect(), document }
    }

    /// The scopes of a route, the least specific first: the document, the services that are asked
    /// about, the policy sets in the order of `use`, the route. None where one of the sets does not
    /// exist, which is told.
    pub fn of<'b>(
        &'b self,
        index: usize,
        config: &'b RouteConfig,
        asked: &[usize],
        problems: &mut Problems,
    ) -> Option<Vec<Scope<'b>>> {
        let Document { policy_sets, services, written, .. } = self.document;
        let mut scopes = vec![everywhere(self.document)];
        for &service in asked {
            let (name, _) = services.at(service).expect("the number is of this document");
            let at = vec!["services".into(), name.as_str().into(), "policies".into()];
            let name = format!("services.{name}");
            scopes.push(Scope { id: 1 + service, at, name, block: &self.services[service] });
        }
        for (position, wanted) in config.uses.iter().enumerate() {
            let Some(number) = policy_sets.position(wanted) else {
                let known = policy_sets.iter().map(|(name, _)| name.as_str());
                let unknown = Invalid::new(nobody("policy set", wanted, known));
                problems.push_unless(
                    written.policy_sets.contains(wanted.as_str()),
                    unknown.under(position).under("use").under(index).under("routes"),
                );
                return None;
            };
            let (_, set) = policy_sets.at(number).expect("its position is known");
            let at: Vec<Step> = vec!["policy_sets".into(), wanted.as_str().into()];
            let name = format!("policy_sets.{wanted}");
            scopes.push(Scope { id: 1 + services.len() + number, at, name, block: set });
        }
        let id = 1 + services.len() + policy_sets.len() + index;
        let at = vec!["routes".into(), index.into(), "policies".into()];
        let name = format!("routes.{}", config.name);
        scopes.push(Scope { id, at, name, block: &config.policies });
        Some(scopes)
    }
}

/// The scope of all routes, and of requests that match none.
pub fn everywhere(document: &Document) -> Scope<'_> {
    let name = "policies".to_owned();
    Scope { id: 0, at: vec![name.as_str().into()], name, block: &document.policies }
}
