//! What may be typed about the gateway's own overload.

use crate::overload::Settings;
use crate::value::schema::word_schema;
use crate::value::{self, ByteSize, Invalid, Percent, deserialize_quantity};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use std::str::FromStr;
use std::time::Duration;

/// How late a worker may be, where it is not said.
const LAG: Duration = Duration::from_millis(50);
/// The shortest lag that can be told from the timers' own grain, a millisecond.
const SHORTEST_LAG: Duration = Duration::from_millis(5);

/// When the gateway refuses requests and connections for its own sake. What is refused is answered
/// with 503 and `Retry-After`, `priority: low` first; what is in flight is never cut.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Overload")]
pub struct OverloadConfig {
    /// The most requests in flight in the process, tunnels among them; at least 1. `priority: low`
    /// is refused from 80% of it on, and what nothing is said of from 95% on. No limit where it is
    /// left out.
    pub in_flight: Option<u32>,
    /// Refuses requests while a thread does not come round in time; never where it is left out.
    pub lag: Option<LagConfig>,
    /// Refuses requests and connections while the process has too much memory; never where it is
    /// left out.
    pub memory: Option<MemoryConfig>,
    /// When connections wait in the backlog; never where it is left out.
    pub accept: Option<AcceptConfig>,
    /// Whether `/readyz` answers 503 while the gateway is overloaded, so that a balancer before it
    /// sends requests elsewhere; `false` where it is left out, since the others may be no better
    /// off. Its text says it in any case.
    pub fail_readiness: bool,
}

/// When requests are refused because a thread is late.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OverloadLag")]
pub struct LagConfig {
    /// How late a thread may wake at the best moment of 100 ms; from 5ms on. `50ms` where it is left
    /// out. Beyond it, ever more of what arrives at that thread is refused.
    pub shed_at: Option<value::Duration>,
}

/// What the process's resident memory may be, as a share of what the control group or the machine
/// has, or as a size.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OverloadMemory")]
pub struct MemoryConfig {
    /// Every request is refused from here on: `priority: low` from 80% of it on, and what nothing is
    /// said of from 95% on, until it has fallen by a tenth. Never where it is left out.
    pub shed_at: Option<Amount>,
    /// No connection is accepted from here on, until it has fallen by a tenth. Never where it is left
    /// out.
    pub pause_accept_at: Option<Amount>,
}

/// When connections wait in the backlog instead of being accepted.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OverloadAccept")]
pub struct AcceptConfig {
    /// The number of open connections, of all listeners, from which on no other is accepted, until a
    /// tenth of them has closed; at least 1. Never where it is left out.
    pub pause_at: Option<u32>,
}

/// An amount of memory: a share of what there is, or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// A share of what there is.
    Share(Percent),
    /// So many bytes.
    Size(ByteSize),
}

impl FromStr for Amount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.ends_with('%') {
            true => text.parse().map(Amount::Share),
            false => text.parse().map(Amount::Size),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a share such as `80%` or a size such as `2GiB`")
    }
}

word_schema!(
    Amount,
    "AmountOfMemory",
    "A share of the memory that there is, or a size in bytes.",
    {"type": ["string", "integer"], "examples": ["80%", "2GiB"]}
);

impl OverloadConfig {
    /// Turns what was typed into what it means; `memory` says how many bytes the process may have.
    ///
    /// # Errors
    /// Refuses limits that nothing could pass, and shares of a memory of which nobody knows how much
    /// it is.
    pub fn compile(&self, memory: impl Fn() -> Option<u64>) -> Result<Settings, Invalid> {
        if self.in_flight == Some(0) {
            let message = "with a limit of zero nothing would be served";
            return Err(Invalid::new(message).under("in_flight"));
        }
        let lag = self.lag.as_ref().map(|lag| lag.shed_at.map_or(LAG, |at| *at));
        if lag.is_some_and(|lag| lag < SHORTEST_LAG) {
            let message = "timers are no finer than a millisecond: write 5ms or more";
            return Err(Invalid::new(message).under("shed_at").under("lag"));
        }
        let bytes = |amount: Option<Amount>, field: &str| {
            let bytes = amount.map(|amount| amount.bytes(&memory)).transpose();
            bytes.map_err(|invalid| invalid.under(field).under("memory"))
        };
        let marks = self.memory.clone().unwrap_or_default();
        let pause_at = self.accept.as_ref().and_then(|accept| accept.pause_at);
        if pause_at == Some(0) {
            let message = "accepting that pauses at no connection never begins: write 1 or more";
            return Err(Invalid::new(message).under("pause_at").under("accept"));
        }
        Ok(Settings {
            in_flight: self.in_flight,
            lag,
            shed_memory: bytes(marks.shed_at, "shed_at")?,
            pause_memory: bytes(marks.pause_accept_at, "pause_accept_at")?,
            pause_connections: pause_at.map(u64::from),
            fail_readiness: self.fail_readiness,
        })
    }
}

impl Amount {
    fn bytes(self, memory: impl Fn() -> Option<u64>) -> Result<u64, Invalid> {
        let bytes = match self {
            Amount::Size(size) => size.0,
            Amount::Share(share) => memory().map(|whole| share.of(whole)).ok_or_else(|| {
                Invalid::new("nobody says how much memory there is here: write a size, as `2GiB`")
            })?,
        };
        match bytes {
            0 => Err(Invalid::new("no process has so little memory: write a larger share or size")),
            bytes => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str, memory: Option<u64>) -> Result<Settings, String> {
        let config: OverloadConfig =
            serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        config.compile(|| memory).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn nothing_is_limited_that_is_not_named() {
        assert_eq!(compile("{}", None), Ok(Settings::default()));
        assert_eq!(compile("{lag: {}}", None).unwrap().lag, Some(LAG));
    }

    #[test]
    fn memory_is_a_share_of_what_there_is_or_a_size() {
        let yaml = "memory: {shed_at: 80%, pause_accept_at: 1KiB}";
        let settings = compile(yaml, Some(1000)).unwrap();
        assert_eq!((settings.shed_memory, settings.pause_memory), (Some(800), Some(1024)));
        assert!(compile(yaml, None).unwrap_err().starts_with("memory.shed_at: nobody says"));
    }

    #[test]
    fn limits_that_nothing_could_pass_are_refused() {
        let refusal = |yaml| compile(yaml, Some(1000)).unwrap_err();
        assert!(refusal("in_flight: 0").starts_with("in_flight: with a limit of zero"));
        assert!(refusal("lag: {shed_at: 1ms}").starts_with("lag.shed_at: timers"));
        assert!(refusal("accept: {pause_at: 0}").starts_with("accept.pause_at: accepting"));
        assert!(refusal("memory: {shed_at: 0%}").starts_with("memory.shed_at: no process"));
    }
}
