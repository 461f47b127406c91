//! What may be typed of limits.

use super::limit::Limit;
use crate::limit::Kind;
use crate::policy::Build;
use crate::policy::exempt::ExemptConfig;
use crate::policy::named::Named;
use crate::value::{ByteSize, Duration, HeaderName, Invalid, Name, Rate, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The limits of one scope, or of several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "RateLimits")]
pub struct Config(pub Vec<LimitConfig>);

/// One limit. Those of all scopes count together; of two that have the same name the more specific
/// one counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateLimit")]
pub struct LimitConfig {
    /// Its name, in answers, logs and metrics.
    pub name: Name,
    /// Whom it counts: each text that this becomes has a share of its own, as each address of
    /// `$(client.ip)` or each user of `$(identity.sub)` has. Who lacks what it refers to shares with
    /// everybody else who does. A key that refers to `identity` or `consumer` is judged after `auth`,
    /// every other before.
    pub key: Template,
    /// How it counts; `sliding_window_counter` where it is left out.
    #[serde(default)]
    pub algorithm: AlgorithmName,
    /// How much each may have in which time: `100/15m`. May be left out where `tiers` says it.
    pub limit: Option<Rate>,
    /// How much the consumers of each tier may have. Who has none of these tiers gets `limit`, or the
    /// smallest of them where there is no `limit`. No tiers where it is left out.
    #[serde(default)]
    pub tiers: BTreeMap<Name, Rate>,
    /// How many units of a `token_bucket`, an `adaptive` limit or a `leaky_bucket` may come at once;
    /// as many as the limit says where it is left out.
    pub burst: Option<NonZeroU32>,
    /// Lets what a `leaky_bucket` has no room for wait for its turn. It is refused where this is left
    /// out.
    pub queue: Option<QueueConfig>,
    /// How many units a request costs; 1 where it is left out.
    pub cost: Option<NonZeroU32>,
    /// The header of the answer that says how many units the request has cost after all, as the
    /// tokens of a language model do. `cost` is taken before, and what it is short of when the answer
    /// is there, so that who has had too much waits for longer. None where it is left out.
    pub cost_header: Option<HeaderName>,
    /// Which requests count; all of them where it is left out.
    #[serde(default)]
    pub count: Count,
    /// Who is not limited; nobody where it is left out.
    #[serde(default)]
    pub exempt: ExemptConfig,
    /// Whether it only counts and logs what it would refuse, and refuses nothing. No where it is left
    /// out.
    #[serde(default)]
    pub observe: bool,
    /// The store in which several gateways count together; this gateway counts alone where it is left
    /// out.
    pub store: Option<Name>,
    /// How several gateways count together; `batched` where it is left out.
    pub sharing: Option<Sharing>,
    /// What becomes of requests while the store does not answer; `local` where it is left out.
    pub on_store_error: Option<OnStoreError>,
    /// What answers say of it; `standard` where it is left out.
    #[serde(default)]
    pub headers: Told,
    /// How many bits of an IPv6 address `$(client.ip)` is in the key, since whoever has one address
    /// has a network of them; 64 where it is left out.
    pub ipv6_prefix: Option<u8>,
    /// The most memory that it takes to remember callers; those who have used the least are forgotten
    /// first. With a `store`, what is leased there takes up to as much again. `16MiB` where it is
    /// left out.
    pub memory: Option<ByteSize>,
    /// What it means; there once its scope was looked at.
    #[serde(skip)]
    compiled: Option<Arc<Limit>>,
}

impl Named for LimitConfig {
    type Limit = Limit;

    fn name(&self) -> &Name {
        &self.name
    }

    fn compile(&self, scope: &str, build: &Build) -> Result<Limit, Invalid> {
        Limit::compile(self, scope, build)
    }

    fn keep(&mut self, compiled: Arc<Limit>) {
        self.compiled = Some(compiled);
    }

    fn kept(&self) -> Option<&Arc<Limit>> {
        self.compiled.as_ref()
    }
}

/// How a limit counts. How exact each is stands in `docs/rate-limits.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateLimitAlgorithm")]
pub enum AlgorithmName {
    /// So many in each window of the clock. Up to twice as many come through around its edge.
    FixedWindow,
    /// So many in any window, exactly; it remembers when each came.
    SlidingWindowLog,
    /// So many in any window, estimated from two windows of the clock.
    #[default]
    SlidingWindowCounter,
    /// So many in the long run, and `burst` at once.
    TokenBucket,
    /// One after the other at an even pace; `queue` lets those that come early wait.
    LeakyBucket,
    /// A token bucket that gives less while services fail or are slow.
    Adaptive,
}

impl AlgorithmName {
    /// What it is to a plan; an adaptive limit is a token bucket whose rate changes.
    pub fn kind(self) -> Kind {
        match self {
            AlgorithmName::FixedWindow => Kind::FixedWindow,
            AlgorithmName::SlidingWindowLog => Kind::SlidingWindowLog,
            AlgorithmName::SlidingWindowCounter => Kind::SlidingWindowCounter,
            AlgorithmName::TokenBucket | AlgorithmName::Adaptive => Kind::TokenBucket,
            AlgorithmName::LeakyBucket => Kind::LeakyBucket,
        }
    }
}

/// How requests wait for their turn.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateLimitQueue")]
pub struct QueueConfig {
    /// How many of one key may wait.
    pub length: NonZeroU32,
    /// The longest that one may wait; `1s` where it is left out.
    pub max_wait: Option<Duration>,
}

/// Which requests count. What is not to count is given back when the answer is known, so that
/// requests that come at once do not slip through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateLimitCount")]
pub enum Count {
    /// All.
    #[default]
    All,
    /// Those that are answered with 4xx, or not at all. What a service failed at (5xx) is not the
    /// client's failure.
    Failures,
    /// Those that are answered with less than 400.
    Successes,
}

/// How several gateways count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateLimitSharing")]
pub enum Sharing {
    /// Each gateway takes some of a busy caller's share ahead of need, and asks the store rarely.
    #[default]
    Batched,
    /// Each request asks the store.
    Exact,
}

/// What becomes of requests while the store does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnStoreError")]
pub enum OnStoreError {
    /// Each gateway counts alone, by the whole limit.
    #[default]
    Local,
    /// They go on, and nobody counts them.
    Allow,
    /// They are refused.
    Deny,
}

/// What answers say of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateLimitHeaders")]
pub enum Told {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).
    #[default]
    Standard,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (in seconds from now).
    XRatelimit,
    /// Both.
    Both,
    /// Nothing, but for `Retry-After` where it refuses.
    None,
}

impl Told {
    /// Whether the standard's fields are there.
    pub fn is_standard(self) -> bool {
        matches!(self, Told::Standard | Told::Both)
    }

    /// Whether the older fields are there.
    pub fn is_older(self) -> bool {
        matches!(self, Told::XRatelimit | Told::Both)
    }
}
