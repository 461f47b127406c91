//! How a service's requests are spread over its endpoints.

use crate::value::{Duration, Percent, Template};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How requests are spread over endpoints: an algorithm by its name alone, or with settings.
#[derive(Debug, Clone, Default)]
pub struct BalancingConfig(pub BalancingSettings);

/// How requests are spread over endpoints, with settings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LoadBalancing")]
pub struct BalancingSettings {
    /// Which endpoint gets a request: `round_robin` where it is left out.
    pub algorithm: AlgorithmConfig,
    /// What `consistent_hash` hashes: requests with the same value go to the same endpoint.
    /// `$(client.ip)` where it is left out; a request that has no value is spread at random.
    pub key: Option<Template>,
    /// How much more than its fair share of the requests in flight an endpoint may have under
    /// `consistent_hash` before the next one on the ring gets what is its; 25% where it is left
    /// out, and `100%` lets it have twice its share.
    pub headroom: Option<Percent>,
    /// How long an endpoint that has come, or has come back, gets less than its weight, growing from
    /// a tenth; it gets all at once where this is left out.
    pub slow_start: Option<Duration>,
    /// The endpoints of the next priority serve when the share of those of a priority that can
    /// serve, by weight, falls below this; `50%` where it is left out.
    pub failover_below: Option<Percent>,
    /// All endpoints serve, whether or not they seem healthy, when the share of those that can
    /// serve, by weight, falls below this: when nearly all seem out, the checks may be what is wrong.
    /// Never where it is left out.
    pub panic_below: Option<Percent>,
}

/// Which endpoint gets a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Algorithm")]
pub enum AlgorithmConfig {
    /// Each in turn, by weight, spread evenly.
    #[default]
    RoundRobin,
    /// Any, by weight.
    Random,
    /// Of two drawn by weight, the one with fewer requests in flight for its weight.
    LeastRequest,
    /// Of two drawn by weight, the one where a request is likely to be answered first, by its recent
    /// latency and its requests in flight.
    PeakEwma,
    /// The one to which the `key` belongs, as long as it has room.
    ConsistentHash,
}

impl<'de> Deserialize<'de> for BalancingConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BalancingVisitor)
    }
}

impl JsonSchema for BalancingConfig {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LoadBalancingWord".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<AlgorithmConfig>();
        let settings = generator.subschema_for::<BalancingSettings>();
        json_schema!({"anyOf": [word, settings]})
    }
}

/// Tells a word from settings by its shape, so that an error inside keeps its place.
struct BalancingVisitor;

impl<'de> Visitor<'de> for BalancingVisitor {
    type Value = BalancingConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an algorithm such as `least_request`, or settings with an `algorithm`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let algorithm = AlgorithmConfig::deserialize(StrDeserializer::new(text))?;
        Ok(BalancingConfig(BalancingSettings { algorithm, ..BalancingSettings::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        BalancingSettings::deserialize(MapAccessDeserializer::new(map)).map(BalancingConfig)
    }
}
