//! Who is not limited.

use crate::exchange::Facts;
use crate::value::{Cidr, CidrSet, Label};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who is not limited.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Exempt")]
pub struct ExemptConfig {
    /// Clients in these networks; none where it is left out.
    pub networks: Vec<Cidr>,
    /// Who has one of these roles; nobody where it is left out. The limit is judged after `auth`
    /// then.
    pub roles: Vec<Label>,
}

/// Who is not limited, compiled.
#[derive(Debug)]
pub struct Exempt {
    networks: CidrSet,
    roles: Vec<Label>,
}

impl Exempt {
    /// Turns what was typed into what it means.
    pub fn new(config: &ExemptConfig) -> Self {
        let networks = config.networks.iter().copied().collect();
        Exempt { networks, roles: config.roles.clone() }
    }

    /// Whether it depends on who is asking.
    pub fn needs_identity(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Whether whoever asks is not limited.
    pub fn has(&self, facts: &Facts) -> bool {
        if !self.networks.is_empty() && self.networks.contains(facts.client) {
            return true;
        }
        let identity = facts.identity().filter(|_| self.needs_identity());
        identity.is_some_and(|identity| {
            identity.roles.iter().any(|role| self.roles.iter().any(|exempt| **exempt == **role))
        })
    }
}
