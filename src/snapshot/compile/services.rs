//! Services and where their endpoints come from.

use super::Problems;
use crate::config::{
    AlgorithmConfig, AttemptPolicies, BalancingConfig, EndpointConfig, ReuseConfig,
};
use crate::config::{HealthCheckConfig, ServiceConfig, ServiceProtocol, discovered, kept_for};
use crate::policy::circuit_breaker::CircuitBreaker;
use crate::policy::{Build, Kind, Setting};
use crate::shared::Shared;
use crate::upstream::balance::serving::Rules;
use crate::upstream::balance::{Algorithm, Bound};
use crate::upstream::bulkhead::Limits;
use crate::upstream::discovery::{Dns, Found, Names, Source};
use crate::upstream::{
    Address, Balancing, Blueprint, Guards, HashKey, Origin, Plan, Protocol, Reuse, Service,
};
use crate::upstream::{breaker, outlier};
use crate::value::{Invalid, NameMap, Percent};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// What services are compiled with.
pub struct Ground<'a> {
    /// The folder from which files are found.
    pub folder: &'a Path,
    /// What is known already.
    pub shared: &'a Shared,
    /// How many threads serve.
    pub workers: usize,
}

/// Compiles the services; none stands in the place of one that is wrong.
pub fn services(
    configs: &NameMap<ServiceConfig>,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Vec<Option<Arc<Service>>> {
    // One for all, since it reads the system's configuration.
    let names = Names::system();
    let services = configs.iter().map(|(name, config)| {
        let plan = plan(name, config, &names, ground);
        let within = |invalid: Invalid| invalid.under(name.as_str()).under("services");
        let plan = problems.take(plan.map_err(within))?;
        Some(Arc::new(Service::new(plan, ground.shared.service(name))))
    });
    services.collect()
}

fn plan(
    name: &str,
    config: &ServiceConfig,
    names: &Names,
    ground: &Ground<'_>,
) -> Result<Plan, Invalid> {
    let (origins, scheme_tls) = origins(config, names, ground.folder)?;
    let settings = config.load_balancing.as_ref().map(|settings| &settings.0);
    let balancing = settings.map(balancing).transpose();
    let balancing = balancing.map_err(|invalid| invalid.under("load_balancing"))?;
    let outlier = config.outlier_detection.as_ref().map(outlier::Config::compile).transpose();
    let outlier = outlier.map_err(|invalid| invalid.under("outlier_detection"))?;
    let check = config.health_check.as_ref().map(HealthCheckConfig::compile).transpose();
    let check = check.map_err(|invalid| invalid.under("health_check"))?;
    let limits = config.limits.as_ref().map(Limits::compile).transpose();
    let limits = limits.map_err(|invalid| invalid.under("limits"))?;
    Ok(Plan {
        name: name.into(),
        preserve_host: config.preserve_host,
        reuse: match config.connection_reuse {
            ReuseConfig::Safe => Reuse::Safe,
            ReuseConfig::Always => Reuse::Always,
            ReuseConfig::Never => Reuse::Never,
        },
        blueprint: blueprint(config, scheme_tls)?,
        origins,
        keep: kept_for(config.keep),
        hash_key: settings.and_then(hash_key),
        balancing: balancing.unwrap_or_default(),
        check: check.map(Arc::new),
        limits,
        guards: Guards { outlier, breaker: endpoint_breaker(&config.policies) },
        workers: ground.workers,
    })
}

/// The circuit of each endpoint, where the service's own block says that each has one.
fn endpoint_breaker(policies: &AttemptPolicies) -> Option<breaker::Settings> {
    match &policies.circuit_breaker {
        // What is wrong with it is told where the block is compiled for a route.
        Some(Setting::Set(config)) if config.per_endpoint => {
            CircuitBreaker::compile(config, &Build::default()).ok().map(|breaker| breaker.settings)
        }
        _ => None,
    }
}

/// Where its endpoints come from, and whether a url says that they are inside TLS.
fn origins(
    config: &ServiceConfig,
    names: &Names,
    folder: &Path,
) -> Result<(Vec<Origin>, Option<bool>), Invalid> {
    let ServiceConfig { url, endpoints, dns, file, consul, .. } = config;
    let discovered = discovered(dns.as_ref(), file.as_ref(), consul.as_ref(), folder)?;
    match (url, endpoints, discovered) {
        (Some(url), None, None) => {
            let (address, tls) = from_url(url).map_err(|invalid| invalid.under("url"))?;
            Ok((vec![origin(&address, 1, 0, names)], Some(tls)))
        }
        (None, Some(endpoints), None) => {
            check_endpoints(endpoints).map_err(|invalid| invalid.under("endpoints"))?;
            let origin =
                |one: &EndpointConfig| origin(&one.address, one.weight.get(), one.priority, names);
            Ok((endpoints.iter().map(origin).collect(), None))
        }
        (None, None, Some(source)) => Ok((vec![Origin::Discovered(source)], None)),
        _ => Err(Invalid::new(
            "exactly one of `url`, `endpoints`, `dns`, `file` and `consul` is needed",
        )),
    }
}

fn check_endpoints(endpoints: &[EndpointConfig]) -> Result<(), Invalid> {
    if endpoints.is_empty() {
        return Err(Invalid::new("at least one endpoint is needed"));
    }
    let mut addresses = HashSet::new();
    for (position, endpoint) in endpoints.iter().enumerate() {
        if !addresses.insert(endpoint.address.to_string()) {
            let message = format!(
                "endpoint {} stands here twice, give it a `weight` if it should get more",
                endpoint.address
            );
            return Err(Invalid::new(message).under("address").under(position));
        }
    }
    Ok(())
}

fn origin(address: &Address, weight: u32, priority: u8, names: &Names) -> Origin {
    match Found::at(address.clone()) {
        Some(found) => Origin::Fixed(Found { weight, priority, ..found }),
        None => {
            let (name, port) = match address {
                Address::Name(name, port) => (name.as_str(), *port),
                address => unreachable!("{address} is found where it is written"),
            };
            let source = Source::Dns(Dns::host(names.clone(), name, port));
            Origin::Named { source, weight, priority }
        }
    }
}

/// How much more than its share an endpoint gets of a ring, where nothing is said.
const HEADROOM: Percent = Percent::new(25);

fn balancing(settings: &BalancingConfig) -> Result<Balancing, Invalid> {
    let BalancingConfig { algorithm, key, headroom, slow_start, failover_below, panic_below } =
        settings;
    let is_ring = *algorithm == AlgorithmConfig::ConsistentHash;
    for (name, given) in [("key", key.is_some()), ("headroom", headroom.is_some())] {
        if given && !is_ring {
            let message = format!("`{name}` means something to `consistent_hash` alone");
            return Err(Invalid::new(message).under(name));
        }
    }
    if slow_start.is_some_and(|time| time.is_zero()) {
        let message = "no time is no slow start, leave it out";
        return Err(Invalid::new(message).under("slow_start"));
    }
    let algorithm = match algorithm {
        AlgorithmConfig::RoundRobin => Algorithm::RoundRobin,
        AlgorithmConfig::Random => Algorithm::Random,
        AlgorithmConfig::LeastRequest => Algorithm::LeastRequest,
        AlgorithmConfig::PeakEwma => Algorithm::PeakEwma,
        AlgorithmConfig::ConsistentHash => {
            let headroom = headroom.unwrap_or(HEADROOM);
            let bound = Bound::new(1.0 + headroom.ratio());
            Algorithm::ConsistentHash { bound: Some(bound.map_err(|no| no.under("headroom"))?) }
        }
    };
    let fallback = Balancing::default().rules;
    let rules = Rules {
        failover_below: failover_below.unwrap_or(fallback.failover_below),
        panic_below: *panic_below,
        slow_start: slow_start.map(|time| *time),
    };
    Ok(Balancing { algorithm, rules })
}

/// What requests are kept together by.
fn hash_key(settings: &BalancingConfig) -> Option<HashKey> {
    let is_ring = settings.algorithm == AlgorithmConfig::ConsistentHash;
    is_ring.then(|| settings.key.clone().map_or(HashKey::Client, HashKey::Template))
}

fn blueprint(config: &ServiceConfig, scheme_tls: Option<bool>) -> Result<Blueprint, Invalid> {
    if scheme_tls == Some(false) && config.tls.is_some() {
        let message = "`tls` does not fit a `http://` url, write `https://`";
        return Err(Invalid::new(message).under("tls"));
    }
    let tls = scheme_tls.unwrap_or(config.tls.is_some());
    let protocol = match (config.protocol, tls) {
        (ServiceProtocol::Http1, _) => Protocol::Http1,
        (ServiceProtocol::H2, true)
        | (ServiceProtocol::H2c, false)
        | (ServiceProtocol::Grpc, _) => Protocol::H2,
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
    let is_grpc = config.protocol == ServiceProtocol::Grpc;
    Ok(Blueprint { protocol, is_grpc, tls, sni: sni.map(|name| name.as_str().to_owned()) })
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
