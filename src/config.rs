//! The document: what the operator typed, and what is wrong with it, each mistake at its place.
//!
//! The structs here are what may be typed. A document is read into a tree that knows places
//! (`yaml.rs`, `tree.rs`), with the files that it includes (`source.rs`), and deserialised from
//! there (`reader.rs`, `load.rs`). What it means is compiled by `snapshot.rs`, which reports what
//! only shows then as an [`Invalid`] with a path into the document.

pub mod backends;
mod conditions;
mod identity;
mod listener;
mod load;
mod mirror;
mod mistake;
mod or_text;
mod overload;
mod reader;
mod route;
pub mod schema;
mod service;
mod source;
mod telemetry;
mod tree;
mod veil;
mod wrong;
mod yaml;

pub use backends::{BackendConfig, WhenConfig, split};
pub use conditions::{ConditionConfig, Conditions, TestConfig};
pub use identity::{AssertionConfig, IdentityConfig};
pub use listener::{Certificate, ListenerConfig, ListenerTimeouts, ListenerTls, WireProtocol};
pub use load::Loaded;
pub use mirror::{DiffConfig, MirrorConfig};
pub use mistake::{Mistake, Report, Severity};
pub use or_text::OrText;
pub use overload::{AcceptConfig, Amount, LagConfig, MemoryConfig, OverloadConfig};
pub use route::{MatchConfig, PathConfig, RouteConfig};
pub use service::{
    AlgorithmConfig, AttemptPolicies, BalancingConfig, ConsulConfig, DnsConfig, EndpointConfig,
    ExpectConfig, FileConfig, HealthCheckConfig, NameServer, ReuseConfig, ServiceConfig,
    ServiceProtocol, ServiceTls, discovered, kept_for, read_endpoints,
};
pub use telemetry::{AccessLogConfig, RequestIdConfig, TelemetryConfig, Word};

use crate::policy::Block;
use crate::policy::auth::consumers::ConsumerConfig;
use crate::store::StoreConfig;
use crate::value::schema::word_schema;
use crate::value::{Duration, Invalid, NameMap, OneOrMany, Template, deserialize_quantity};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::str::FromStr;

/// A whole configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format.
    pub version: Version,
    /// Further files, by glob, relative to this one: their `listeners`, `policy_sets`, `services`
    /// and `routes` are added to those that stand here.
    pub include: Option<OneOrMany<String>>,
    /// How many threads serve: `auto` is one for each core that the process may use.
    #[serde(default)]
    pub threads: Threads,
    /// The cores that the threads are pinned to, in turn; not pinned where it is left out.
    #[serde(default)]
    pub affinity: Vec<usize>,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// Where operators and probes connect; nowhere if it is left out.
    pub admin: Option<AdminConfig>,
    /// What is written down about requests.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// What several gateways share, by name.
    #[serde(default)]
    pub stores: NameMap<StoreConfig>,
    /// What services are told of who is asking.
    #[serde(default)]
    pub identity: IdentityConfig,
    /// When the gateway refuses requests and connections for its own sake; never where it is left
    /// out.
    pub overload: Option<OverloadConfig>,
    /// How the process ends.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
    /// Callers that are known by name.
    #[serde(default)]
    pub consumers: Vec<ConsumerConfig>,
    /// Policies of all routes.
    #[serde(default)]
    pub policies: Block,
    /// Policies by name, for routes to `use`.
    #[serde(default)]
    pub policy_sets: NameMap<Block>,
    /// Backends by name.
    #[serde(default)]
    pub services: NameMap<ServiceConfig>,
    /// Routes; where several match, the most specific answers.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// What was typed, whether or not it could be read.
    #[serde(skip)]
    pub written: Written,
}

/// The names that stand in a document. One whose thing could not be read is no unknown name.
#[derive(Debug, Default)]
pub struct Written {
    /// Of services.
    pub services: HashSet<String>,
    /// Of policy sets.
    pub policy_sets: HashSet<String>,
    /// Whether a block of policies could not be read whole, so that a decision may be missing.
    pub lost_policies: bool,
}

/// The version of the format: 1.
#[derive(Debug, Clone, Copy)]
pub struct Version;

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "1" => Ok(Version),
            other => {
                let message = format!("version {other} is not known, this gateway reads version 1");
                Err(Invalid::new(message))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "the version of this format")
    }
}

word_schema!(
    Version,
    "Version",
    "The version of this format.",
    {"enum": [1, "1"]}
);

/// How many threads serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Threads {
    /// One for each core that the process may use.
    #[default]
    Auto,
    /// So many.
    Count(usize),
}

/// The most threads that may be asked for: beyond it, a slip of the finger is more likely.
const MOST_THREADS: usize = 1024;

impl FromStr for Threads {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Threads::Auto),
            (_, Ok(count @ 1..=MOST_THREADS)) => Ok(Threads::Count(count)),
            _ => {
                let wanted = format!("write `auto` or a number from 1 to {MOST_THREADS}");
                Err(Invalid::new(format!("`{text}` is no number of threads, {wanted}")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Threads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a number of threads")
    }
}

word_schema!(
    Threads,
    "Threads",
    "`auto`, or a number from 1 to 1024.",
    {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 1024}]}
);

/// Where operators and probes connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub struct AdminConfig {
    /// The address; best one that only operators reach.
    #[serde(deserialize_with = "listener::address")]
    #[schemars(with = "listener::Bound")]
    pub address: SocketAddr,
    /// What a caller must send as a bearer token for all but the health endpoints.
    pub token: Option<Template>,
}

/// How the process ends.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Shutdown")]
pub struct ShutdownConfig {
    /// How long requests in flight may go on after SIGTERM; 30 seconds where it is left out.
    pub grace: Option<Duration>,
}
