//! Backends.

pub mod health;

use crate::policy::{Setting, timeouts};
use crate::upstream::Address;
use crate::value::Name;
use schemars::JsonSchema;
use serde::Deserialize;

/// A backend and its endpoints: either `url` or `endpoints`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub struct ServiceConfig {
    /// Its one endpoint, `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    pub url: Option<String>,
    /// Its endpoints.
    pub endpoints: Option<Vec<EndpointConfig>>,
    /// What it speaks: `http1` where it is left out.
    #[serde(default)]
    pub protocol: ServiceProtocol,
    /// TLS to its endpoints; `https://` means it too.
    pub tls: Option<ServiceTls>,
    /// Whether it gets the client's `Host`, instead of its own authority.
    #[serde(default)]
    pub preserve_host: bool,
    /// Policies of an attempt. They win over the document's, and a route's win over them.
    #[serde(default)]
    pub policies: AttemptPolicies,
}

/// One place where a service listens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Endpoint")]
pub struct EndpointConfig {
    /// `ADDRESS:PORT`, `NAME:PORT` or `unix:PATH`.
    pub address: Address,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 inside TLS.
    H2,
    /// HTTP/2 in plain text, by prior knowledge.
    H2c,
}

/// TLS to a service. Its certificate is checked against the system's authorities.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceTls {
    /// The name to ask for and to check; the endpoint's where it is left out.
    pub sni: Option<Name>,
}

/// Policies that concern an attempt.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AttemptPolicies {
    /// Its times.
    pub timeouts: Option<Setting<timeouts::AttemptConfig>>,
}
