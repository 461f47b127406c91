//! From what was typed to what it means.

use super::answer::{Answering, answering};
use super::rule::{at_odds, check_reference, loosest, parameters, rule};
use super::{Admin, Compiled, Door, Process, Route, Snapshot};
use crate::answer::{Answer, Backend};
use crate::config::{
    AttemptPolicies, Document, EndpointConfig, ListenerConfig, RouteConfig, ServiceConfig,
    ServiceProtocol, Threads,
};
use crate::policy::timeouts::AttemptConfig;
use crate::policy::{Block, Compiler, Scope, Setting};
use crate::route::{Matcher, Rule};
use crate::upstream::{Address, Endpoint, Protocol, Service};
use crate::value::{Invalid, Name, NameMap, Step};
use http::{HeaderName, HeaderValue};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The header that carries the request id, where the document names none.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long requests may go on after SIGTERM, where the document does not say.
const GRACE: Duration = Duration::from_secs(30);

/// Compiles a document; its files are found from `folder`.
pub fn compile(document: &Document, generation: u64, folder: &Path) -> Result<Compiled, Invalid> {
    let process = process(document, folder)?;
    let services = services(&document.services)?;
    let mut compiler = Compiler::default();
    let (routes, rules) = routes(document, &services, &mut compiler)?;
    let (unmatched, _) = compiler.compile(&[everywhere(document)])?;
    let matcher = Matcher::compile(&rules)
        .map_err(|conflicts| at_odds(&conflicts[0], |position| &*routes[position].name))?;
    let header = document.telemetry.request_id.header.as_ref();
    let snapshot = Snapshot {
        generation,
        matcher,
        unmatched,
        routes,
        services,
        request_id_header: header.map_or(REQUEST_ID, |name| (**name).clone()),
    };
    Ok(Compiled { snapshot, process })
}

fn process(document: &Document, folder: &Path) -> Result<Process, Invalid> {
    if document.listeners.is_empty() {
        let message = "a gateway without a listener serves nobody";
        return Err(Invalid::new(message).under("listeners"));
    }
    let mut names = HashSet::new();
    let mut addresses = HashSet::new();
    let mut doors = Vec::new();
    for (index, config) in document.listeners.iter().enumerate() {
        let within = |invalid: Invalid| invalid.under(index).under("listeners");
        if !names.insert(config.name.as_str()) {
            let message = format!("listener `{}` stands here twice", config.name);
            return Err(within(Invalid::new(message).under("name")));
        }
        if config.address.port() != 0 && !addresses.insert(config.address) {
            let message = format!("another listener is already at {}", config.address);
            return Err(within(Invalid::new(message).under("address")));
        }
        doors.push(Door::compile(config, folder).map_err(within)?);
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
    Ok(Process {
        threads: match document.threads {
            Threads::Auto => None,
            Threads::Count(count) => Some(count),
        },
        affinity: document.affinity.clone(),
        doors,
        admin: admin.transpose()?,
        access_log: document.telemetry.access_log.options(),
        grace: document.shutdown.grace.map_or(GRACE, |grace| *grace),
    })
}

fn services(configs: &NameMap<ServiceConfig>) -> Result<Vec<Arc<Service>>, Invalid> {
    let services = configs.iter().map(|(name, config)| {
        let endpoints =
            endpoints(config).map_err(|invalid| invalid.under(name.as_str()).under("services"))?;
        let preserve_host = config.preserve_host;
        Ok(Arc::new(Service { name: name.as_str().into(), preserve_host, endpoints }))
    });
    services.collect()
}

fn endpoints(config: &ServiceConfig) -> Result<Vec<Endpoint>, Invalid> {
    let (addresses, scheme_tls) = match (&config.url, &config.endpoints) {
        (Some(url), None) => {
            let (address, tls) = from_url(url).map_err(|invalid| invalid.under("url"))?;
            (vec![address], Some(tls))
        }
        (None, Some(endpoints)) if endpoints.is_empty() => {
            return Err(Invalid::new("at least one endpoint is needed").under("endpoints"));
        }
        (None, Some(endpoints)) => {
            let address = |endpoint: &EndpointConfig| endpoint.address.clone();
            (endpoints.iter().map(address).collect(), None)
        }
        _ => {
            return Err(Invalid::new("exactly one of `url` and `endpoints` is needed"));
        }
    };
    if scheme_tls == Some(false) && config.tls.is_some() {
        let message = "`tls` does not fit a `http://` url, write `https://`";
        return Err(Invalid::new(message).under("tls"));
    }
    let tls = scheme_tls.unwrap_or(config.tls.is_some());
    let protocol = match (config.protocol, tls) {
        (ServiceProtocol::Http1, _) => Protocol::Http1,
        (ServiceProtocol::H2, true) | (ServiceProtocol::H2c, false) => Protocol::H2,
        (ServiceProtocol::H2, false) => {
            let message = "`h2` needs TLS; in plain text it is called `h2c`";
            return Err(Invalid::new(message).under("protocol"));
        }
        (ServiceProtocol::H2c, true) => {
            let message = "`h2c` is HTTP/2 in plain text; inside TLS it is called `h2`";
            return Err(Invalid::new(message).under("protocol"));
        }
    };
    let sni = config.tls.as_ref().and_then(|tls| tls.sni.as_ref());
    let endpoint = |address: Address| {
        let host = HeaderValue::from_str(&authority(&address, tls))
            .expect("an address is made of characters that a header value may have");
        let name = sni.map_or_else(|| address.server_name(), |name| name.as_str().to_owned());
        Endpoint::new(address, host, tls.then_some(name.as_str()), protocol)
    };
    Ok(addresses.into_iter().map(endpoint).collect())
}

/// What `Host` says for an endpoint, without the scheme's own port (RFC 9110 §4.2.3).
fn authority(address: &Address, tls: bool) -> String {
    let authority = address.authority();
    let standard = if tls { ":443" } else { ":80" };
    authority.strip_suffix(standard).unwrap_or(&authority).to_owned()
}

/// Reads a service's url: an address, and whether it is inside TLS.
fn from_url(url: &str) -> Result<(Address, bool), Invalid> {
    let (rest, tls, port) = match url.split_once("://") {
        Some(("http", rest)) => (rest, false, 80),
        Some(("https", rest)) => (rest, true, 443),
        _ => {
            let message = format!("`{url}` is no url of a service, write `http://HOST:PORT`");
            return Err(Invalid::new(message));
        }
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() || authority.contains(['?', '#', '@']) {
        let message = "a service's url ends with its port; paths are rewritten by `transform`";
        return Err(Invalid::new(message));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let address = match has_port {
        true => authority.parse::<Address>(),
        false => format!("{authority}:{port}").parse(),
    };
    address.map(|address| (address, tls)).map_err(|error| Invalid::new(error.to_string()))
}

/// Compiles the routes, and what the matcher has to know of them.
fn routes(
    document: &Document,
    services: &[Arc<Service>],
    compiler: &mut Compiler,
) -> Result<(Vec<Route>, Vec<Rule>), Invalid> {
    let scopes = Scopes::new(document);
    let paths = loosest(document.listeners.iter().map(ListenerConfig::paths));
    let mut names = HashSet::new();
    let mut routes = Vec::with_capacity(document.routes.len());
    let mut rules = Vec::with_capacity(document.routes.len());
    for (index, config) in document.routes.iter().enumerate() {
        let within = |invalid: Invalid| invalid.under(index).under("routes");
        if !names.insert(config.name.as_str()) {
            let message = format!("route `{}` stands here twice", config.name);
            return Err(within(Invalid::new(message).under("name")));
        }
        let rule =
            rule(&config.matches, paths).map_err(|invalid| within(invalid.under("match")))?;
        let parameters = parameters(&rule);
        rules.push(rule);
        let answering = answering(config, services).map_err(within)?;
        let scopes = scopes.of(index, config, answering.service()).map_err(within)?;
        let (chain, stages) = compiler.compile(&scopes)?;
        if stages.auth.is_none() {
            let message = format!(
                "route `{}` has no auth decision, write `auth: none` if anyone may ask",
                config.name
            );
            return Err(within(Invalid::new(message)));
        }
        let timeouts = stages.timeouts.as_deref().copied().unwrap_or_default();
        let answer = match answering {
            Answering::Service(index, service) => {
                Answer::Service(Backend { service, index, timeouts })
            }
            Answering::Respond(respond) => Answer::Respond(respond),
            Answering::Redirect(redirect) => Answer::Redirect(redirect),
        };
        let references = chain.references().into_iter().chain(answer.references());
        references
            .into_iter()
            .try_for_each(|reference| check_reference(reference, &config.name, &parameters))
            .map_err(within)?;
        routes.push(Route {
            name: config.name.as_str().into(),
            parameters,
            chain,
            answer,
            time: timeouts.request,
        });
    }
    Ok((routes, rules))
}

/// The blocks of a document that routes take their policies from, each with its number.
struct Scopes<'a> {
    document: &'a Document,
    services: Vec<Block>,
}

impl<'a> Scopes<'a> {
    fn new(document: &'a Document) -> Self {
        let block = |config: &ServiceConfig| {
            let AttemptPolicies { timeouts } = &config.policies;
            let timeouts = timeouts.clone().map(|setting| {
                let attempt = match setting {
                    Setting::Off => AttemptConfig::default(),
                    Setting::Set(attempt) => attempt,
                };
                Setting::Set(attempt.into())
            });
            Block { timeouts, ..Block::default() }
        };
        Scopes { services: document.services.iter().map(|(_, one)| block(one)).collect(), document }
    }

    /// The scopes of a route, the least specific first: the document, the service if one answers,
    /// the policy sets in the order of `use`, the route.
    fn of<'b>(
        &'b self,
        index: usize,
        config: &'b RouteConfig,
        service: Option<usize>,
    ) -> Result<Vec<Scope<'b>>, Invalid> {
        let Document { policy_sets, services, .. } = self.document;
        let mut scopes = vec![everywhere(self.document)];
        if let Some(service) = service {
            let (name, _) = services.iter().nth(service).expect("the number is of this document");
            let at = vec!["services".into(), name.as_str().into(), "policies".into()];
            scopes.push(Scope { id: 1 + service, at, block: &self.services[service] });
        }
        for (position, wanted) in config.uses.iter().enumerate() {
            let (number, set) = set(policy_sets, wanted).ok_or_else(|| {
                let message = format!("no policy set is called `{wanted}`");
                Invalid::new(message).under(position).under("use")
            })?;
            let at: Vec<Step> = vec!["policy_sets".into(), wanted.as_str().into()];
            scopes.push(Scope { id: 1 + services.len() + number, at, block: set });
        }
        let id = 1 + services.len() + policy_sets.len() + index;
        let at = vec!["routes".into(), index.into(), "policies".into()];
        scopes.push(Scope { id, at, block: &config.policies });
        Ok(scopes)
    }
}

/// The scope of all routes, and of requests that match none.
fn everywhere(document: &Document) -> Scope<'_> {
    Scope { id: 0, at: vec!["policies".into()], block: &document.policies }
}

fn set<'a>(sets: &'a NameMap<Block>, wanted: &Name) -> Option<(usize, &'a Block)> {
    let mut sets = sets.iter().enumerate();
    sets.find_map(|(number, (name, block))| (name == wanted).then_some((number, block)))
}
