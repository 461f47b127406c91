//! Services and where their endpoints come from.

use super::Problems;
use crate::config::{EndpointConfig, ServiceConfig, ServiceProtocol};
use crate::shared::Shared;
use crate::upstream::{Address, Blueprint, Found, Origin, Protocol, Service};
use crate::value::{Invalid, NameMap};
use std::sync::Arc;

/// Compiles the services; none stands in the place of one that is wrong.
pub fn services(
    configs: &NameMap<ServiceConfig>,
    shared: &Shared,
    problems: &mut Problems,
) -> Vec<Option<Arc<Service>>> {
    let services = configs.iter().map(|(name, config)| {
        let service = service(name, config, shared);
        let within = |invalid: Invalid| invalid.under(name.as_str()).under("services");
        problems.take(service.map(Arc::new).map_err(within))
    });
    services.collect()
}

fn service(name: &str, config: &ServiceConfig, shared: &Shared) -> Result<Service, Invalid> {
    let (origins, scheme_tls) = origins(config)?;
    let blueprint = blueprint(config, scheme_tls)?;
    let state = shared.service(name);
    Ok(Service::new(name.into(), config.preserve_host, blueprint, origins, state))
}

/// Where its endpoints come from, and whether a url says that they are inside TLS.
fn origins(config: &ServiceConfig) -> Result<(Vec<Origin>, Option<bool>), Invalid> {
    match (&config.url, &config.endpoints) {
        (Some(url), None) => {
            let (address, tls) = from_url(url).map_err(|invalid| invalid.under("url"))?;
            Ok((vec![origin(&address, 1, 0)], Some(tls)))
        }
        (None, Some(endpoints)) if endpoints.is_empty() => {
            Err(Invalid::new("at least one endpoint is needed").under("endpoints"))
        }
        (None, Some(endpoints)) => {
            let origin =
                |one: &EndpointConfig| origin(&one.address, one.weight.get(), one.priority);
            Ok((endpoints.iter().map(origin).collect(), None))
        }
        _ => Err(Invalid::new("exactly one of `url` and `endpoints` is needed")),
    }
}

fn origin(address: &Address, weight: u32, priority: u8) -> Origin {
    match address {
        Address::Name(name, port) => {
            Origin::Named { name: name.as_str().into(), port: *port, weight, priority }
        }
        address => Origin::Fixed(Found { weight, priority, ..Found::at(address.clone()) }),
    }
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
