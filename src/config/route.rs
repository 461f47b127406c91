//! What is asked for, and what answers it.

use super::{BackendConfig, Conditions, MirrorConfig};
use crate::answer::{login, redirect, respond};
use crate::policy::Block;
use crate::route::HostPattern;
use crate::upstream::adaptive::Priority;
use crate::value::{HeaderName, Method, Name, OneOrMany, Pattern, Template};
use schemars::JsonSchema;
use serde::Deserialize;

/// One route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub struct RouteConfig {
    /// Its name, in logs and metrics.
    pub name: Name,
    /// Which requests it answers: every condition given must hold.
    #[serde(default, rename = "match")]
    pub matches: MatchConfig,
    /// Policy sets that hold here; a later one wins over an earlier one.
    #[serde(default, rename = "use")]
    pub uses: Vec<Name>,
    /// The service that answers. Exactly one of this, `backends`, `respond`, `redirect` and
    /// `login` is needed.
    pub service: Option<Name>,
    /// The services that share the route, each with its weight.
    pub backends: Option<Vec<BackendConfig>>,
    /// What a caller is known by, so that it stays with one of the `backends`, such as
    /// `$(cookie.user)`. Where it is left out, or a request lacks it, each request is on its own.
    pub split_key: Option<Template>,
    /// A further service that gets copies of the requests, and whose answers no client sees.
    pub mirror: Option<MirrorConfig>,
    /// How much its requests matter where a service has more than it bears (`limits.adaptive`):
    /// those of `low` routes are refused first. `normal` where it is left out.
    #[serde(default)]
    pub priority: Priority,
    /// An answer that the gateway gives by itself.
    pub respond: Option<respond::Config>,
    /// Another place to ask, which the gateway names by itself.
    pub redirect: Option<redirect::Config>,
    /// A signed token, for credentials that a service says are good.
    pub login: Option<login::Config>,
    /// Policies of this route.
    #[serde(default)]
    pub policies: Block,
}

/// Which requests a route answers: all that is given must hold, and a list means any of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Match")]
pub struct MatchConfig {
    /// Host names; `*.example.com` is every name that ends so.
    pub hosts: Option<OneOrMany<HostPattern>>,
    /// The path.
    pub path: Option<PathConfig>,
    /// Methods.
    pub methods: Option<OneOrMany<Method>>,
    /// What header fields say; several lines of one field are one value with commas.
    pub headers: Conditions<HeaderName>,
    /// What query parameters say, percent-decoded; of several values the first counts.
    pub query: Conditions<String>,
}

/// A path, matched one way, as it is when it is normalised.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Path")]
pub struct PathConfig {
    /// Exactly this path.
    pub exact: Option<OneOrMany<String>>,
    /// This path and all below it, on whole segments.
    pub prefix: Option<OneOrMany<String>>,
    /// A path with placeholders, `/orders/{id}`: each is one segment, and `$(path.id)` is its
    /// value.
    pub template: Option<OneOrMany<String>>,
    /// An expression that matches the whole path; `$(path.id)` is what `(?<id>…)` matched.
    pub regex: Option<OneOrMany<Pattern>>,
}
