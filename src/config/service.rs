//! Backends.

mod balancing;
mod discovery;
mod endpoints_file;
mod health;

pub use balancing::{AlgorithmConfig, BalancingConfig};
pub use discovery::{ConsulConfig, DnsConfig, FileConfig, NameServer, discovered, kept_for};
pub use endpoints_file::read_endpoints;
pub use health::{ExpectConfig, HealthCheckConfig};

use super::OrText;
use crate::policy::{Setting, circuit_breaker, retry, timeouts};
use crate::upstream::{Address, bulkhead, outlier};
use crate::value::{Duration, Name, Weight};
use schemars::JsonSchema;
use serde::Deserialize;

/// A backend and its endpoints: exactly one of `url`, `endpoints`, `dns`, `file` and `consul` says
/// where they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub struct ServiceConfig {
    /// Its one endpoint, `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    pub url: Option<String>,
    /// Its endpoints.
    pub endpoints: Option<Vec<EndpointConfig>>,
    /// Its endpoints as DNS knows them: `NAME:PORT`, or settings.
    pub dns: Option<OrText<DnsConfig>>,
    /// Its endpoints as a file lists them that something else writes: its path, or settings.
    pub file: Option<OrText<FileConfig>>,
    /// Its endpoints as Consul knows them.
    pub consul: Option<ConsulConfig>,
    /// How long the last known endpoints are kept when names, a file or Consul have nothing better
    /// to say; 5 minutes where it is left out. Then the service has none, and answers 503.
    pub keep: Option<Duration>,
    /// What it speaks: `http1` where it is left out.
    #[serde(default)]
    pub protocol: ServiceProtocol,
    /// TLS to its endpoints; `https://` means it too.
    pub tls: Option<ServiceTls>,
    /// How its requests are spread over its endpoints: `round_robin` where it is left out.
    pub load_balancing: Option<OrText<BalancingConfig>>,
    /// How its endpoints are asked whether they are well; they are not where it is left out.
    pub health_check: Option<HealthCheckConfig>,
    /// When an endpoint gets nothing for a while because requests fail there; never where it is left
    /// out.
    pub outlier_detection: Option<outlier::Config>,
    /// How much of it may be in use at once; as much as there is where it is left out.
    pub limits: Option<bulkhead::Config>,
    /// When a request goes to it on a connection that was used before: `safe` where it is left out.
    #[serde(default)]
    pub connection_reuse: ReuseConfig,
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
    /// `ADDRESS:PORT`, `NAME:PORT` or `unix:PATH`. Each address that a name resolves to is an
    /// endpoint.
    pub address: Address,
    /// Its share of the requests beside the other endpoints' weights, from 1 to 65535; 1 where it is
    /// left out.
    #[serde(default)]
    pub weight: Weight,
    /// The group that it belongs to: one of a higher number serves when too few of those before it
    /// can. 0 where it is left out.
    #[serde(default)]
    pub priority: u8,
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
    /// gRPC: HTTP/2, inside TLS or in plain text, with gRPC's statuses understood.
    Grpc,
}

/// When a request goes to a service on a connection that was used before. The service may close
/// such a connection at the moment that the request is sent, and a request that may not be repeated
/// (RFC 9110 §9.2.2) is then lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConnectionReuse")]
pub enum ReuseConfig {
    /// When the request may be repeated, or is not the first of its client's connection: that client
    /// has to expect the same of its own connection.
    #[default]
    Safe,
    /// Whenever there is one.
    Always,
    /// Never.
    Never,
}

/// TLS to a service. Its certificate is checked against the system's authorities.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceTls {
    /// The name to ask for and to check; the endpoint's where it is left out.
    pub sni: Option<Name>,
}

/// Policies that concern an attempt.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AttemptPolicies {
    /// Its times.
    pub timeouts: Option<Setting<timeouts::AttemptConfig>>,
    /// When an attempt that failed is made again.
    pub retry: Option<Setting<retry::Config>>,
    /// When nobody asks it for a while, and what answers meanwhile.
    pub circuit_breaker: Option<Setting<circuit_breaker::Config>>,
}
