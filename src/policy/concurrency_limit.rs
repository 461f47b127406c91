//! Limits how many requests of each caller are in flight at once.
//!
//! It counts exactly (`limit/concurrency.rs` says how), so that nobody is refused for what others
//! do. How much a service gets at once, whoever asks, is said by its own `limits`.

use super::exempt::{Exempt, ExemptConfig};
use super::key::{IPV6_PREFIX, KeyTemplate, check_key};
use super::named::{self, Named};
use super::{Build, Finished, Kind, Policy, Request, Setting};
use crate::limit::concurrency::{Concurrency, Permit};
use crate::limit::key::KeyHasher;
use crate::reply::{Rejection, Stop};
use crate::value::{Invalid, Name, Reference, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use smallvec::SmallVec;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// When it is worth to ask again: one of the caller's own requests has to end before, and nobody
/// knows when that is.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The limits of one scope, or of several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "ConcurrencyLimits")]
pub struct Config(pub Vec<LimitConfig>);

/// How many requests of each caller may be in flight at once. The limits of all scopes count
/// together; of two that have the same name the more specific one counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConcurrencyLimit")]
pub struct LimitConfig {
    /// Its name, in answers and logs.
    pub name: Name,
    /// Whom it counts, as the key of a `rate_limit` does.
    pub key: Template,
    /// How many requests of one caller may be in flight; one more is refused with 429.
    pub limit: NonZeroU32,
    /// Who is not limited; nobody where it is left out.
    #[serde(default)]
    pub exempt: ExemptConfig,
    /// How many bits of an IPv6 address `$(client.ip)` is in the key; 64 where it is left out.
    pub ipv6_prefix: Option<u8>,
    /// What it means; there once its scope was looked at.
    #[serde(skip)]
    compiled: Option<Arc<Limit>>,
}

impl Named for LimitConfig {
    fn name(&self) -> &Name {
        &self.name
    }
}

/// A compiled limit.
#[derive(Debug)]
struct Limit {
    name: Arc<str>,
    key: KeyTemplate,
    limit: NonZeroU32,
    exempt: Exempt,
    hasher: KeyHasher,
    in_flight: Arc<Concurrency>,
    needs_identity: bool,
}

/// The limits of a route.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    /// Those that need no identity first.
    limits: Vec<Arc<Limit>>,
    anonymous: usize,
}

/// The places that one request holds.
#[derive(Debug, Default)]
pub struct State(SmallVec<[Permit; 2]>);

impl Limit {
    fn compile(config: &LimitConfig, scope: &str, build: &Build) -> Result<Self, Invalid> {
        let prefix = config.ipv6_prefix.unwrap_or(IPV6_PREFIX);
        check_key(&config.key, prefix)?;
        let key = KeyTemplate::new(config.key.clone(), prefix);
        let exempt = Exempt::new(&config.exempt);
        Ok(Limit {
            name: config.name.as_str().into(),
            needs_identity: key.needs_identity() || exempt.needs_identity(),
            key,
            limit: config.limit,
            exempt,
            hasher: build.limits.hasher().clone(),
            in_flight: build.limits.concurrency(&format!("{scope}:{}", config.name)),
        })
    }
}

impl ConcurrencyLimit {
    fn judge(
        &self,
        range: Range<usize>,
        request: &mut Request<'_>,
        state: &mut State,
    ) -> Result<(), Stop> {
        for limit in &self.limits[range] {
            if limit.exempt.has(request.facts) {
                continue;
            }
            let key = limit.key.with(request.head, request.facts, |text| limit.hasher.hash(text));
            match limit.in_flight.enter(key, limit.limit) {
                Some(permit) => state.0.push(permit),
                None => {
                    request.facts.cause =
                        Some(format!("too many at once for the limit `{}`", limit.name));
                    request.facts.limited = Some(Arc::clone(&limit.name));
                    let limit = Arc::clone(&limit.name);
                    let retry_after = Some(ASK_AGAIN);
                    return Err(Rejection::QuotaExceeded { limit, retry_after }.into());
                }
            }
        }
        Ok(())
    }
}

impl Kind for ConcurrencyLimit {
    type Config = Config;

    const ACCUMULATES: bool = true;

    fn said(mut config: Config, scope: &str, build: &Build) -> Result<Config, Invalid> {
        named::each(&mut config.0, "limit", |limit| {
            limit.compiled = Some(Arc::new(Limit::compile(limit, scope, build)?));
            Ok(())
        })?;
        Ok(config)
    }

    /// Limits accumulate by their names; `none` clears what was inherited.
    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        let Setting::Set(inner) = inner else { return None };
        Some(Config(named::join(outer.unwrap_or_default().0, inner.0)))
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let compiled = config.0.iter().map(|limit| {
            let compiled = limit.compiled.as_ref();
            Arc::clone(compiled.expect("what a scope says is compiled before it is folded"))
        });
        let mut limits: Vec<Arc<Limit>> = compiled.collect();
        limits.sort_by_key(|limit| limit.needs_identity);
        let anonymous = limits.iter().filter(|limit| !limit.needs_identity).count();
        Ok(ConcurrencyLimit { limits, anonymous })
    }

    fn references(&self) -> Vec<&Reference> {
        self.limits.iter().flat_map(|limit| limit.key.references()).collect()
    }
}

impl Policy for ConcurrencyLimit {
    type State = State;

    async fn on_arrival(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        self.judge(0..self.anonymous, request, state)
    }

    async fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        self.judge(self.anonymous..self.limits.len(), request, state)
    }

    /// Gives the places back.
    fn on_finish(&self, _: &Finished<'_>, state: &mut State) {
        state.0.clear();
    }
}
