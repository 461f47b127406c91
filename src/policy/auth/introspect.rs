//! Tokens that only their issuer can read (RFC 7662).

use super::found::{Found, Refused};
use super::maker::Maker;
use super::token::may_come_on;
use crate::credential::Place;
use crate::exchange::{Facts, Unproven};
use crate::issuer::introspection::{
    Endpoint, Introspector, Plan, Refused as Inactive, Unavailable, Wanted,
};
use crate::issuer::{Issuer, Plan as IssuerPlan};
use crate::jose::{Confirmation, KeySet, confirmation};
use crate::policy::Build;
use crate::telemetry::metrics::Way;
use crate::value::{Duration, Invalid, OneOrMany, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Tokens that their issuer is asked about (RFC 7662).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Introspection")]
pub struct Config {
    /// The issuer. Its metadata say where it is asked, unless `endpoint` does; an `iss` in its
    /// answer has to be this.
    pub issuer: String,
    /// Where it is asked.
    pub endpoint: Option<String>,
    /// What the gateway is called there.
    pub client: String,
    /// The secret that it has there.
    pub secret: Secret,
    /// For whom tokens are: one of these is in `aud`. Any, where it is left out.
    pub audience: Option<OneOrMany<String>>,
    /// For how long an answer counts, and never past the token's `exp`; 30 seconds where it is left
    /// out. A token that was revoked is good for so long.
    pub cache: Option<Duration>,
    /// How long an answer may take; 2 seconds where it is left out.
    pub timeout: Option<Duration>,
    /// Where the token stands; in the header `Authorization` where it is left out.
    pub from: Option<OneOrMany<Place>>,
    /// The claims that have the roles; `roles` and `role` where it is left out.
    pub roles: Option<OneOrMany<String>>,
}

/// The tokens of one issuer.
#[derive(Debug)]
pub struct Introspect {
    /// Where they may stand.
    pub from: Vec<Place>,
    /// Who asks.
    pub introspector: Arc<Introspector>,
    /// Whose metadata say where, if nothing else does.
    pub issuer: Option<Arc<Issuer<KeySet>>>,
    maker: Maker,
}

impl Introspect {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses what is no address.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        let (endpoint, issuer) = match &config.endpoint {
            Some(address) => {
                (Endpoint::at(address).map_err(|invalid| invalid.under("endpoint"))?, None)
            }
            None => {
                let plan = IssuerPlan::endpoints(&config.issuer);
                let plan = plan.map_err(|invalid| {
                    Invalid::new(format!("{invalid}; `endpoint` says where it is asked"))
                        .under("issuer")
                })?;
                let issuer = build.issuers.of(plan);
                (Endpoint::Told(issuer.metadata()), Some(issuer))
            }
        };
        let audience = config.audience.iter().flat_map(|all| all.iter());
        let wanted = Wanted {
            issuer: Some(config.issuer.as_str().into()),
            audience: audience.map(|one| one.as_str().into()).collect(),
        };
        let mut plan = Plan::new(endpoint, &config.client, config.secret.clone()).wanted(wanted);
        if let Some(cache) = config.cache {
            plan = plan.cache(*cache);
        }
        if let Some(timeout) = config.timeout {
            if timeout.is_zero() {
                let message = "no answer comes in no time";
                return Err(Invalid::new(message).under("timeout"));
            }
            plan = plan.timeout(*timeout);
        }
        let roles: Vec<String> = config.roles.iter().flat_map(|all| all.iter().cloned()).collect();
        let from: Vec<Place> = config.from.iter().flat_map(|all| all.iter().cloned()).collect();
        Ok(Introspect {
            from: if from.is_empty() { vec![Place::Bearer] } else { from },
            introspector: Arc::new(Introspector::new(plan)),
            issuer,
            maker: Maker::new(&build.vouched, &build.consumers, &roles),
        })
    }

    /// Asks about a token.
    pub async fn check(&self, token: &str, facts: &Facts) -> Found {
        let refused = |why, reason: &'static str| {
            Found::Refused(Refused { why, ..Refused::invalid(Way::Introspection, reason) })
        };
        let active = match self.introspector.ask(token).await {
            Ok(Ok(active)) => active,
            Ok(Err(Inactive::Expired)) => {
                return refused(Unproven::Expired, "the issuer says that the token has expired");
            }
            Ok(Err(Inactive::Inactive)) => {
                return refused(Unproven::Invalid, "the issuer does not know the token as good");
            }
            Ok(Err(Inactive::Early)) => {
                return refused(Unproven::Invalid, "the token is not good yet");
            }
            Ok(Err(Inactive::Issuer)) => {
                return refused(Unproven::Invalid, "the token is another issuer's");
            }
            Ok(Err(Inactive::Audience)) => {
                return refused(Unproven::Invalid, "the token is for somebody else");
            }
            Err(error @ Unavailable) => return Found::Undecided(error.to_string().into()),
        };
        let bound_to = match active.claims.get("cnf").map(confirmation).transpose() {
            Ok(bound_to) => bound_to.map(|Confirmation::Certificate(print)| print),
            Err(_) => return refused(Unproven::Invalid, "the token is bound to what is unknown"),
        };
        if !may_come_on(&facts.connection, bound_to.as_ref()) {
            return refused(Unproven::Invalid, "the token is bound to another certificate");
        }
        let identity = active.identity.get_or_init(|| {
            let claims = Arc::clone(&active.claims);
            self.maker.of_claims(Way::Introspection, claims, active.expires)
        });
        Found::Known(Arc::clone(identity))
    }
}
