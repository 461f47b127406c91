//! The routes of a document as a table, in the order in which they are tried, with the policies of
//! each and where each comes from.

use super::compile::Problems;
use super::compile::rule::{loosest, rule};
use super::compile::scopes::Scopes;
use crate::config::{Document, ListenerConfig, Loaded, Report, RouteConfig};
use crate::policy::Scope;
use crate::route::{Condition, HostPattern, PathPattern, Rule, Test, in_order};
use crate::shared::Shared;
use crate::value::Step;
use serde::Serialize;
use std::fmt::{self, Display, Write};
use std::path::Path;

/// The routes, in the order in which they are tried.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// A row for each host and path of each route.
    pub routes: Vec<Row>,
}

/// One host and path of a route.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The route's name.
    pub route: String,
    /// The host; `*` is any.
    pub host: String,
    /// How the path is matched and with what; `*` is any.
    pub path: String,
    /// The methods; none means any.
    pub methods: Vec<String>,
    /// What is asked of header fields and query parameters.
    pub conditions: Vec<String>,
    /// What answers.
    pub answer: String,
    /// The policies that hold.
    pub policies: Vec<Policy>,
}

/// A policy that holds for a route.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// Its kind.
    pub kind: &'static str,
    /// Whether it is switched off here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// The scopes that it comes from.
    pub from: Vec<String>,
}

impl Overview {
    /// Reads a document and looks it over.
    ///
    /// # Errors
    ///
    /// Tells what is wrong with the document.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let loaded = Loaded::read(path)?;
        // Compiling takes the document, and says whether what is seen here may be shown.
        let overview = loaded.document.as_ref().map(Overview::of);
        super::compile(loaded, &Shared::default())?;
        Ok(overview.expect("what compiles is a document"))
    }

    /// Looks a document over. What is wrong with it is left out, and told by who compiles it.
    fn of(document: &Document) -> Self {
        let paths = loosest(document.listeners.iter().map(ListenerConfig::paths));
        let scopes = Scopes::new(document);
        let mut problems = Problems::default();
        let rules: Vec<Rule> = document
            .routes
            .iter()
            .map(|route| rule(&route.matches, paths).unwrap_or_default())
            .collect();
        let policies: Vec<Vec<Policy>> = document
            .routes
            .iter()
            .enumerate()
            .map(|(number, route)| {
                let backends = route.backends.iter().flatten().map(|backend| &backend.service);
                let services = route.service.iter().chain(backends);
                let services: Vec<usize> =
                    services.filter_map(|name| document.services.position(name)).collect();
                let scopes = scopes.of(number, route, &services, &mut problems);
                effective(&scopes.unwrap_or_default())
            })
            .collect();
        let row = |line: crate::route::Line<'_>| {
            let (route, rule) = (&document.routes[line.rule], &rules[line.rule]);
            Row {
                route: route.name.to_string(),
                host: line.host.map_or_else(any, HostPattern::to_string),
                path: line.path.map_or_else(any, PathPattern::to_string),
                methods: rule.methods.iter().map(ToString::to_string).collect(),
                conditions: conditions(rule),
                answer: answer(route),
                policies: policies[line.rule].clone(),
            }
        };
        Overview { routes: in_order(&rules).into_iter().map(row).collect() }
    }
}

fn any() -> String {
    "*".to_owned()
}

/// Which policies hold, of what the scopes say, the least specific first.
fn effective(scopes: &[Scope<'_>]) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for scope in scopes {
        for said in scope.block.said() {
            let from = label(&scope.at);
            match policies.iter_mut().find(|policy| policy.kind == said.kind) {
                Some(policy) => {
                    policy.off = said.is_off;
                    if !said.accumulates {
                        policy.from.clear();
                    }
                    policy.from.push(from);
                }
                None => {
                    policies.push(Policy { kind: said.kind, off: said.is_off, from: vec![from] });
                }
            }
        }
    }
    policies
}

/// What a scope is called, by where it stands.
fn label(at: &[Step]) -> String {
    match at {
        [Step::Key(section), Step::Key(name), ..] if section == "policy_sets" => {
            format!("set {name}")
        }
        [Step::Key(section), Step::Key(name), ..] if section == "services" => {
            format!("service {name}")
        }
        [Step::Key(section), Step::Index(_), ..] if section == "routes" => "route".to_owned(),
        _ => "all routes".to_owned(),
    }
}

fn answer(route: &RouteConfig) -> String {
    if route.login.is_some() {
        return "login".to_owned();
    }
    match (&route.service, &route.backends, &route.respond) {
        (Some(service), ..) => format!("service {service}"),
        (None, Some(backends), _) => {
            let each =
                backends.iter().map(|one| format!("{} {}", one.service, one.weight.unwrap_or(1)));
            format!("services {}", each.collect::<Vec<_>>().join(", "))
        }
        (None, None, Some(_)) => "respond".to_owned(),
        (None, None, None) => "redirect".to_owned(),
    }
}

fn conditions(rule: &Rule) -> Vec<String> {
    let headers = rule.headers.iter().map(|condition| told("header", condition));
    headers.chain(rule.query.iter().map(|condition| told("query", condition))).collect()
}

fn told<N: Display>(what: &str, Condition { name, test }: &Condition<N>) -> String {
    match test {
        Test::Present => format!("{what}.{name} present"),
        Test::Absent => format!("{what}.{name} absent"),
        Test::Equals(texts) => format!("{what}.{name} = {}", texts.join(" | ")),
        Test::Matches(pattern) => format!("{what}.{name} ~ {pattern}"),
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = if self.off { "=none" } else { "" };
        write!(f, "{}{off} ({})", self.kind, self.from.join(" + "))
    }
}

/// A table whose columns are as wide as what stands in them.
impl Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows =
            vec![["ROUTE", "HOST", "PATH", "METHODS", "ANSWER", "POLICIES"].map(str::to_owned)];
        for row in &self.routes {
            let mut path = row.path.clone();
            for condition in &row.conditions {
                write!(path, ", {condition}")?;
            }
            let methods = match &row.methods[..] {
                [] => any(),
                methods => methods.join(" "),
            };
            let policies: Vec<_> = row.policies.iter().map(ToString::to_string).collect();
            let Row { route, host, answer, .. } = row;
            let policies = policies.join(", ");
            rows.push([route.clone(), host.clone(), path, methods, answer.clone(), policies]);
        }
        let widths: Vec<usize> = (0..5)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", row[5])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_stand_in_match_order_with_where_their_policies_come_from() {
        let text = "\
version: 1
listeners: [{name: a, address: 127.0.0.1:1}]
policies: {auth: none, ip_filter: {deny: [192.0.2.0/24]}}
policy_sets: {office: {ip_filter: {allow: [10.0.0.0/8]}, request_size: {body: 1MiB}}}
services: {app: {url: \"http://127.0.0.1:2\", policies: {timeouts: {read: 1s}}}}
routes:
  - {name: rest, service: app}
  - name: one
    match: {hosts: a.example, path: {template: \"/a/{b}\"}, methods: GET, headers: {x-v: 1}}
    use: [office]
    respond: {status: 204}
    policies: {request_size: none}
";
        let loaded = Loaded::from_text(Path::new("a.yaml"), text.to_owned());
        let overview = Overview::of(&loaded.document.unwrap());
        let expected = "\
ROUTE  HOST       PATH                            METHODS  ANSWER       POLICIES
one    a.example  template /a/{b}, header.x-v = 1  GET      respond      \
ip_filter (all routes + set office), auth=none (all routes), request_size=none (route)
rest   *          *                                *        service app  \
ip_filter (all routes), auth=none (all routes), timeouts (service app)
";
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&overview.to_string()), squeezed(expected));
    }
}
