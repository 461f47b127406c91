//! How long an exchange and its attempts may take. The proxy's stages keep these times.

use super::Kind;
use crate::upstream::Timeouts;
use crate::value::{self, Invalid};
use serde::Deserialize;

/// How long to wait for what. Fits a service too, where `request` has no meaning.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The whole exchange, from the request's head to the last byte of the answer; no limit where
    /// it is left out. An upgraded connection is exempt once it is upgraded.
    pub request: Option<value::Duration>,
    /// Connecting to an endpoint, TLS included. 5 seconds where it is left out.
    pub connect: Option<value::Duration>,
    /// Each wait for the service to send something. 60 seconds where it is left out.
    pub read: Option<value::Duration>,
    /// Each wait for the service to take something. 60 seconds where it is left out.
    pub write: Option<value::Duration>,
    /// How long an unused connection to the service is kept. 60 seconds where it is left out.
    pub idle: Option<value::Duration>,
}

impl Kind for Timeouts {
    type Config = Config;

    fn compile(config: &Config) -> Result<Self, Invalid> {
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
        })
    }
}
