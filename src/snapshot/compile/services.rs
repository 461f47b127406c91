//! Services and their endpoints.

use super::Problems;
use crate::config::{EndpointConfig, ServiceConfig, ServiceProtocol};
use crate::upstream::{Address, Endpoint, Protocol, Service};
use crate::value::{Invalid, NameMap};
use http::HeaderValue;
use std::sync::Arc;

/// Compiles the services; none stands in the place of one that is wrong.
pub fn services(
    configs: &NameMap<ServiceConfig>,
    problems: &mut Problems,
) -> Vec<Option<Arc<Service>>> {
    let services = configs.iter().map(|(name, config)| {
        let endpoints = endpoints(config).map_err(|invalid| invalid.under(name.as_str()));
        let endpoints = problems.take(endpoints.map_err(|invalid| invalid.under("services")))?;
        let preserve_host = config.preserve_host;
        Some(Arc::new(Service { name: name.as_str().into(), preserve_host, endpoints }))
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
