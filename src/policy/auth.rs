//! The auth decision of a route: a route that has none does not pass the check.

use super::{Build, Kind, Policy, Request, Setting};
use crate::exchange::UpstreamRequest;
use crate::reply::{Rejection, Stop};
use crate::value::Invalid;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a route finds out who is asking.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Auth")]
pub struct Config {
    /// Whether the credential goes on to the service, which then has to check it itself. It is
    /// taken out of the request where this is left out.
    pub forward_credentials: bool,
}

/// How a route finds out who is asking.
#[derive(Debug)]
pub struct Auth {
    forward_credentials: bool,
}

impl Kind for Auth {
    type Config = Config;

    /// `none` is a decision here, not the lack of one.
    fn fold(_outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        match inner {
            Setting::Off => Some(Config::default()),
            Setting::Set(config) => Some(config),
        }
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        Ok(Auth { forward_credentials: config.forward_credentials })
    }
}

impl Policy for Auth {
    type State = ();

    async fn on_request(&self, _: &mut Request<'_>, _: &mut ()) -> Result<(), Stop> {
        Ok(())
    }

    fn on_upstream_request(
        &self,
        request: &mut UpstreamRequest<'_>,
        _: &mut (),
    ) -> Result<(), Rejection> {
        if !self.forward_credentials {
            request.head.headers.remove(AUTHORIZATION);
        }
        Ok(())
    }
}
