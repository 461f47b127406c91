//! Limits how many requests of each caller are in flight at once.
//!
//! It counts exactly (`limit/concurrency.rs` says how), so that nobody is refused for what others
//! do. How much a service gets at once, whoever asks, is said by its own `limits`.

use super::exempt::{Exempt, ExemptConfig};
use super::key::{IPV6_PREFIX, KeyTemplate, check_key};
use super::named::{self, Limits, Named};
use super::{Build, Finished, Kind, Policy, Request, Setting};
use crate::limit::concurrency::{Concurrency, Permit};
use crate::limit::key::KeyHasher;
use crate::reply::Stop;
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

/// A compiled limit.
#[derive(Debug)]
pub struct Limit {
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
pub struct ConcurrencyLimit(Limits<Limit>);

/// The places that one request holds.
#[derive(Debug, Default)]
pub struct State(SmallVec<[Permit; 2]>);

impl Named for LimitConfig {
    type Limit = Limit;

    fn name(&self) -> &Name {
        &self.name
    }

    fn compile(&self, scope: &str, build: &Build) -> Result<Limit, Invalid> {
        let prefix = self.ipv6_prefix.unwrap_or(IPV6_PREFIX);
        check_key(&self.key, prefix)?;
        let key = KeyTemplate::new(self.key.clone(), prefix);
        let exempt = Exempt::new(&self.exempt);
        Ok(Limit {
            name: self.name.as_str().into(),
            needs_identity: key.needs_identity() || exempt.needs_identity(),
            key,
            limit: self.limit,
            exempt,
            hasher: build.limits.hasher().clone(),
            in_flight: build.limits.concurrency(&format!("{scope}:{}", self.name)),
        })
    }

    fn keep(&mut self, compiled: Arc<Limit>) {
        self.compiled = Some(compiled);
    }

    fn kept(&self) -> Option<&Arc<Limit>> {
        self.compiled.as_ref()
    }
}

impl named::Limit for Limit {
    fn needs_identity(&self) -> bool {
        self.needs_identity
    }
}

impl ConcurrencyLimit {
    fn judge(
        &self,
        range: Range<usize>,
        request: &mut Request<'_>,
        state: &mut State,
    ) -> Result<(), Stop> {
        for limit in &self.0.all[range] {
            if limit.exempt.has(request.facts) {
                continue;
            }
            let key = limit.key.with(request.head, request.facts, |text| limit.hasher.hash(text));
            match limit.in_flight.enter(key, limit.limit) {
                Some(permit) => state.0.push(permit),
                None => {
                    let cause = format!("too many at once for the limit `{}`", limit.name);
                    return Err(request.over(&limit.name, cause, Some(ASK_AGAIN)));
                }
            }
        }
        Ok(())
    }
}

impl Kind for ConcurrencyLimit {
    type Config = Config;

    const ACCUMULATES: bool = true;

    fn said(config: Config, scope: &str, build: &Build) -> Result<Config, Invalid> {
        named::said(config.0, scope, build).map(Config)
    }

    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        named::fold(outer.unwrap_or_default().0, inner.map(|config| config.0)).map(Config)
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        Ok(ConcurrencyLimit(Limits::new(&config.0)))
    }

    fn references(&self) -> Vec<&Reference> {
        self.0.all.iter().flat_map(|limit| limit.key.references()).collect()
    }
}

impl Policy for ConcurrencyLimit {
    type State = State;

    async fn on_arrival(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        self.judge(0..self.0.anonymous, request, state)
    }

    async fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        self.judge(self.0.anonymous..self.0.all.len(), request, state)
    }

    /// Gives the places back.
    fn on_finish(&self, _: &Finished<'_>, state: &mut State) {
        state.0.clear();
    }
}
