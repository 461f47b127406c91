//! What Consul answers about a service: pure, no I/O.

use crate::upstream::Address;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// One instance of a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where it is.
    pub place: Place,
    /// Its share, at least 1.
    pub weight: u32,
}

/// Where an instance is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address that can be connected to.
    At(Address),
    /// At a name that has to be resolved, and a port.
    Named(String, u16),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    socket_path: Option<String>,
    #[serde(default)]
    weights: Option<Weights>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    #[serde(default)]
    passing: Option<u32>,
}

/// Reads an answer. What is no place to connect to, such as a service without a port, is left out.
///
/// # Errors
///
/// Says why it is no such answer.
pub fn instances(body: &[u8]) -> Result<Vec<Instance>, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_slice(body)?;
    Ok(entries.into_iter().filter_map(instance).collect())
}

fn instance(Entry { node, service }: Entry) -> Option<Instance> {
    let weight = service.weights.and_then(|weights| weights.passing).unwrap_or(1).max(1);
    if let Some(path) = service.socket_path.filter(|path| !path.is_empty()) {
        let address = format!("unix:{path}").parse().ok()?;
        return Some(Instance { place: Place::At(address), weight });
    }
    // An instance that was registered without an address is at its node's.
    let host = if service.address.is_empty() { node.address } else { service.address };
    if service.port == 0 {
        return None;
    }
    let place = match host.parse::<IpAddr>() {
        Ok(ip) => Place::At(Address::Ip(SocketAddr::new(ip, service.port))),
        Err(_) => match format!("{host}:{}", service.port).parse().ok()? {
            Address::Name(name, port) => Place::Named(name, port),
            _ => return None,
        },
    };
    Some(Instance { place, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(service: &str) -> Option<Instance> {
        let body = format!(
            r#"[{{"Node": {{"Node": "n", "Address": "10.0.0.9"}}, "Service": {service}}}]"#
        );
        instances(body.as_bytes()).unwrap().pop()
    }

    fn at(address: &str, weight: u32) -> Option<Instance> {
        Some(Instance { place: Place::At(address.parse().unwrap()), weight })
    }

    #[test]
    fn an_instance_is_at_its_own_address_else_at_its_nodes() {
        let own = r#"{"Address": "10.0.0.1", "Port": 80, "Weights": {"Passing": 3, "Warning": 1}}"#;
        assert_eq!(read(own), at("10.0.0.1:80", 3));
        assert_eq!(read(r#"{"Address": "", "Port": 80}"#), at("10.0.0.9:80", 1));
        assert_eq!(read(r#"{"Address": "fd00::1", "Port": 80}"#), at("[fd00::1]:80", 1));
    }

    #[test]
    fn names_and_sockets_are_places_too() {
        let named = read(r#"{"Address": "a.internal", "Port": 80}"#).unwrap();
        assert_eq!(named.place, Place::Named("a.internal".into(), 80));
        let socket = r#"{"Address": "", "Port": 0, "SocketPath": "/run/a.sock"}"#;
        assert_eq!(read(socket), at("unix:/run/a.sock", 1));
    }

    #[test]
    fn what_cannot_be_connected_to_is_left_out() {
        assert_eq!(read(r#"{"Address": "10.0.0.1", "Port": 0}"#), None);
        assert_eq!(read(r#"{"Address": "a b", "Port": 80}"#), None);
        assert!(instances(b"[]").unwrap().is_empty());
        assert!(instances(b"{}").is_err());
    }
}
