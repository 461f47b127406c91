//! Lets clients in, or keeps them out, by their address.

use super::{Build, Kind, Policy, Request, Setting};
use crate::reply::{Rejection, Stop};
use crate::value::{Cidr, CidrSet, Invalid};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which addresses may ask. The address is the client's as far as trusted proxies vouch for it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "IpFilter")]
pub struct Config {
    /// Networks that may ask; no others may. Anyone may where it is left out.
    pub allow: Option<Vec<Cidr>>,
    /// Networks that may not ask, whatever `allow` says. Those of all scopes count together.
    pub deny: Vec<Cidr>,
}

/// The compiled filter.
#[derive(Debug)]
pub struct IpFilter {
    allow: Option<CidrSet>,
    deny: CidrSet,
}

impl Kind for IpFilter {
    type Config = Config;

    const ACCUMULATES: bool = true;

    /// Denials accumulate over scopes, and nothing clears them; of the rest the most specific
    /// scope's counts.
    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        let mut denied = outer.map(|outer| outer.deny).unwrap_or_default();
        let inner = match inner {
            Setting::Off => Config::default(),
            Setting::Set(inner) => inner,
        };
        denied.extend(inner.deny);
        Some(Config { allow: inner.allow, deny: denied })
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        // It could be meant either way, and one of them is open to the world.
        if config.allow.as_ref().is_some_and(Vec::is_empty) {
            let message = "an empty list lets nobody in; leave `allow` out if anyone may ask";
            return Err(Invalid::new(message).under("allow"));
        }
        let allow = config.allow.as_ref().map(|allow| allow.iter().copied().collect());
        Ok(IpFilter { allow, deny: config.deny.iter().copied().collect() })
    }
}

impl Policy for IpFilter {
    type State = ();

    async fn on_arrival(&self, request: &mut Request<'_>, _: &mut ()) -> Result<(), Stop> {
        let client = request.facts.client;
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.contains(client));
        if allowed && !self.deny.contains(client) {
            return Ok(());
        }
        Err(Rejection::Forbidden.into())
    }
}
