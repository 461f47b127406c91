//! How a service's requests are spread over its endpoints.

use crate::config::wrong::Wrong;
use crate::value::{Duration, Percent, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use std::str::FromStr;

/// How requests are spread over endpoints; in short the algorithm alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LoadBalancing")]
pub struct BalancingConfig {
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

impl FromStr for BalancingConfig {
    /// In the words that every other unknown word of a document is told with.
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let algorithm = AlgorithmConfig::deserialize(StrDeserializer::new(text))?;
        Ok(BalancingConfig { algorithm, ..BalancingConfig::default() })
    }
}
