//! How long an exchange and its attempts may take. The proxy's stages keep these times.

use super::{Build, Kind, Setting};
use crate::upstream::Timeouts;
use crate::value::{self, HeaderName, Invalid};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long to wait for what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Timeouts")]
pub struct Config {
    /// The whole exchange, from the request's head to the last byte of the answer; no limit where
    /// it is left out. An upgraded connection is exempt once it is upgraded.
    pub request: Option<value::Duration>,
    /// Connecting to an endpoint, TLS included. 5 seconds where it is left out.
    pub connect: Option<value::Duration>,
    /// Each wait for the service to send something, once it has the whole request; between an HTTP/2
    /// client and an HTTP/2 service the wait for the head includes the upload. 60 seconds where it
    /// is left out.
    pub read: Option<value::Duration>,
    /// Each wait for the service to take something; it may still answer for as long as `read`
    /// says. 60 seconds where it is left out.
    pub write: Option<value::Duration>,
    /// How long an unused connection to the service is kept. 60 seconds where it is left out.
    pub idle: Option<value::Duration>,
    /// The header field that tells the service how many milliseconds are left of `request`; none
    /// where it is left out. `grpc-timeout` is set
    /// for `protocol: grpc` all the same.
    pub budget_header: Option<HeaderName>,
    /// Whether these are a service's, which says nothing of the whole exchange.
    #[serde(skip)]
    of_service: bool,
}

/// What of it a service may say: the times of an attempt.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AttemptTimeouts")]
pub struct AttemptConfig {
    /// Connecting to an endpoint, TLS included. 5 seconds where it is left out.
    pub connect: Option<value::Duration>,
    /// Each wait for the service to send something, once it has the whole request; between an HTTP/2
    /// client and an HTTP/2 service the wait for the head includes the upload. 60 seconds where it
    /// is left out.
    pub read: Option<value::Duration>,
    /// Each wait for the service to take something; it may still answer for as long as `read`
    /// says. 60 seconds where it is left out.
    pub write: Option<value::Duration>,
    /// How long an unused connection to the service is kept. 60 seconds where it is left out.
    pub idle: Option<value::Duration>,
    /// The header field that tells the service how many milliseconds are left of `request`; none
    /// where it is left out. `grpc-timeout` is set
    /// for `protocol: grpc` all the same.
    pub budget_header: Option<HeaderName>,
}

impl From<AttemptConfig> for Config {
    fn from(config: AttemptConfig) -> Self {
        let AttemptConfig { connect, read, write, idle, budget_header } = config;
        Config { request: None, connect, read, write, idle, budget_header, of_service: true }
    }
}

impl Kind for Timeouts {
    type Config = Config;

    /// The most specific object counts whole, but that a service's leaves the time of the exchange
    /// as it was.
    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        match inner {
            Setting::Off => None,
            Setting::Set(inner) if inner.of_service => {
                Some(Config { request: outer.and_then(|outer| outer.request), ..inner })
            }
            Setting::Set(inner) => Some(inner),
        }
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let fallback = Timeouts::default();
        let time = |name: &str, typed: Option<value::Duration>| match typed {
            Some(time) if time.is_zero() => {
                Err(Invalid::new("a time of zero would fail every request").under(name))
            }
            typed => Ok(typed.map(|time| *time)),
        };
        Ok(Timeouts {
            request: time("request", config.request)?,
            connect: time("connect", config.connect)?.unwrap_or(fallback.connect),
            read: time("read", config.read)?.unwrap_or(fallback.read),
            write: time("write", config.write)?.unwrap_or(fallback.write),
            idle: time("idle", config.idle)?.unwrap_or(fallback.idle),
            budget_header: match &config.budget_header {
                Some(name) => Some(name.editable().map_err(|no| no.under("budget_header"))?),
                None => None,
            },
        })
    }
}
