//! What services are told of who is asking.

use crate::value::Fields;
use schemars::JsonSchema;
use serde::Deserialize;

/// What services are told of who is asking.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Identity")]
pub struct IdentityConfig {
    /// Header fields that are set from who was authenticated, such as `$(identity.sub)`, and left
    /// out where there is nobody or nothing to say. They are taken out of every client's request,
    /// on every route, in every spelling that a service may read the same.
    pub headers: Fields,
}
