//! What may be said of how much a service gets at once, and what it means.

use crate::upstream::adaptive;
use crate::value::{self, Invalid};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How much a service gets at once. What is more waits, or is refused with 503.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Limits")]
pub struct Config {
    /// Requests in flight at once, each until the end of its answer; at least 1. No limit where it
    /// is left out.
    pub requests: Option<u32>,
    /// Attempts in flight at once, each of which takes a connection if the service speaks HTTP/1.1,
    /// or a stream if it speaks HTTP/2; at least 1. No limit where it is left out.
    pub connections: Option<u32>,
    /// How many may wait for their turn, in their order; with 0, what finds no place is refused at
    /// once. 100 where it is left out.
    pub pending: Option<u32>,
    /// How long each may wait, if the request's own time is not over before. `1s` where it is left
    /// out.
    pub pending_timeout: Option<value::Duration>,
    /// A limit of the requests in flight that follows how long the service takes. What is beyond it
    /// does not wait. None where it is left out.
    pub adaptive: Option<adaptive::Config>,
}

/// How much there may be at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Exchanges; at least one, if they are limited.
    pub requests: Option<u32>,
    /// Attempts; at least one, if they are limited.
    pub connections: Option<u32>,
    /// How many may wait for either.
    pub pending: u32,
    /// How long each may wait.
    pub pending_timeout: Duration,
    /// The limit of exchanges that adapts.
    pub adaptive: Option<adaptive::Settings>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: None,
            connections: None,
            pending: 100,
            pending_timeout: Duration::from_secs(1),
            adaptive: None,
        }
    }
}

impl Limits {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    /// Refuses limits that would let nothing through, and a wait without anything to wait for.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let fallback = Limits::default();
        for (name, limit) in [("requests", config.requests), ("connections", config.connections)] {
            if limit == Some(0) {
                let message = "a limit of zero would refuse every request";
                return Err(Invalid::new(message).under(name));
            }
        }
        let is_limited = config.requests.is_some() || config.connections.is_some();
        for (name, is_said) in [
            ("pending", config.pending.is_some()),
            ("pending_timeout", config.pending_timeout.is_some()),
        ] {
            if is_said && !is_limited {
                let message = "nothing waits without a limit of `requests` or `connections`";
                return Err(Invalid::new(message).under(name));
            }
        }
        if config.pending_timeout.is_some_and(|time| time.is_zero()) {
            let message = "write `pending: 0` to let nothing wait";
            return Err(Invalid::new(message).under("pending_timeout"));
        }
        let adaptive = config.adaptive.as_ref().map(adaptive::Settings::compile).transpose();
        Ok(Limits {
            requests: config.requests,
            connections: config.connections,
            pending: config.pending.unwrap_or(fallback.pending),
            pending_timeout: config.pending_timeout.map_or(fallback.pending_timeout, |time| *time),
            adaptive: adaptive.map_err(|invalid| invalid.under("adaptive"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Limits, String> {
        let config: Config = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        Limits::compile(&config).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(compile("{}"), Ok(Limits::default()));
        let yaml = "{requests: 1000, connections: 500, pending: 10, pending_timeout: 2s, \
                    adaptive: {min: 10, max: 1000}}";
        let expected = Limits {
            requests: Some(1000),
            connections: Some(500),
            pending: 10,
            pending_timeout: Duration::from_secs(2),
            adaptive: Some(adaptive::Settings::default()),
        };
        assert_eq!(compile(yaml), Ok(expected));
    }

    #[test]
    fn limits_that_let_nothing_through_are_refused() {
        let refusal = |yaml| compile(yaml).unwrap_err();
        assert!(refusal("{requests: 0}").starts_with("requests: a limit of zero"));
        assert!(refusal("{connections: 0}").starts_with("connections: a limit of zero"));
        assert!(refusal("{requests: 1, pending_timeout: 0s}").contains("`pending: 0`"));
        assert!(refusal("{adaptive: {min: 0}}").starts_with("adaptive.min: "));
        assert!(refusal("{adaptive: {}, pending: 5}").contains("nothing waits without"));
    }
}
