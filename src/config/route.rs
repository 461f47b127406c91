//! What is asked for, and what answers it.

use crate::answer::{redirect, respond};
use crate::policy::Block;
use crate::route::HostPattern;
use crate::value::{Method, Name, OneOrMany};
use serde::Deserialize;

/// One route.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Its name, in logs and metrics.
    pub name: Name,
    /// Which requests it answers: every condition given must hold.
    #[serde(default, rename = "match")]
    pub matches: MatchConfig,
    /// Policy sets that hold here; a later one wins over an earlier one.
    #[serde(default, rename = "use")]
    pub uses: Vec<Name>,
    /// The service that answers. Exactly one of this, `respond` and `redirect` is needed.
    pub service: Option<Name>,
    /// An answer that the gateway gives by itself.
    pub respond: Option<respond::Config>,
    /// Another place to ask, which the gateway names by itself.
    pub redirect: Option<redirect::Config>,
    /// Policies of this route.
    #[serde(default)]
    pub policies: Block,
}

/// Which requests a route answers; a list means any of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchConfig {
    /// Host names.
    pub hosts: Option<OneOrMany<HostPattern>>,
    /// The path.
    pub path: Option<PathConfig>,
    /// Methods.
    pub methods: Option<OneOrMany<Method>>,
}

/// A path, matched one way.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathConfig {
    /// Exactly this path.
    pub exact: Option<String>,
    /// This path and all below it, on whole segments.
    pub prefix: Option<String>,
}
