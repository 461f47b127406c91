//! Who may do what: conditions on who is asking, and on a few facts of the request.
//!
//! The core is pure: it decides over an [`Asked`], and knows neither sockets nor clocks. A decision
//! that permits allocates nothing; one that refuses borrows its reason from the configuration, and
//! writes it down only where a log wants it. The reason is never told to the client, who would
//! learn from it what to steal; missing scopes are (RFC 6750 §3), since clients ask for those.

mod compile;
mod condition;
#[cfg(test)]
mod tests;
mod times;
mod typed;
mod word;

pub use condition::{Asked, Condition, Test};
pub use times::{Clock, Day, Times, TimesConfig, Zone};
pub use typed::{ItemConfig, MappingConfig};
pub use word::{KINDS, WAYS};

use super::{Build, Kind, Policy, Request};
use crate::exchange::{Authentication, Unproven};
use crate::reply::{Rejection, Stop};
use crate::value::Invalid;
use compile::{Groups, Lists};
use condition::List;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// Who may ask, beyond being known: each list that is given must hold. A condition is a text such as
/// `scope:orders.read`, or a mapping. Where nobody knows who is asking, conditions about that are
/// false.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Authorize")]
pub struct Config {
    /// Each of these holds. Nothing is asked where it is left out.
    pub all: Option<Vec<ItemConfig>>,
    /// At least one of these holds. Nothing is asked where it is left out.
    pub any: Option<Vec<ItemConfig>>,
    /// None of these holds. Nothing is asked where it is left out.
    pub not: Option<Vec<ItemConfig>>,
}

/// The compiled policy.
#[derive(Debug, Clone)]
pub struct Authorize {
    groups: Groups,
    /// The scopes in `all`, each once, with a space between them (RFC 6749 §3.3).
    required_scopes: Option<Box<str>>,
    /// What a client is told that lacks them (RFC 6750 §3.1).
    challenge: HeaderValue,
    needs_identity: bool,
}

/// What was decided.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// The request may be served.
    Permitted,
    /// It may not.
    Refused {
        /// Why, for the log alone.
        reason: Reason<'a>,
        /// The scopes that `all` asks for, where nothing but some of these is missing: the `scope`
        /// of a challenge `insufficient_scope` (RFC 6750 §3). `None` where there is no identity,
        /// since then more is missing.
        missing_scopes: Option<&'a str>,
    },
}

/// Why a request was refused: the first condition that was not met. Its text is made when it is
/// written.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a> {
    unmet: Unmet<'a>,
    is_anonymous: bool,
}

#[derive(Debug, Clone, Copy)]
enum Unmet<'a> {
    /// One of `all` does not hold.
    Needed(&'a Condition),
    /// None of `any` holds.
    NoneOf(&'a [Condition]),
    /// One of `not` holds.
    Forbidden(&'a Condition),
}

impl Authorize {
    /// Decides whether a request may be served.
    pub fn decide(&self, asked: &Asked<'_>) -> Verdict<'_> {
        let Some(unmet) = self.unmet(asked).next() else { return Verdict::Permitted };
        // A challenge that asks for scopes would send the client in vain where more is missing.
        let is_scope = |unmet| matches!(unmet, Unmet::Needed(Condition::Scope(_)));
        let is_anonymous = asked.identity.is_none();
        let lacks_scopes_alone = !is_anonymous && self.unmet(asked).all(is_scope);
        let scopes = self.required_scopes.as_deref();
        Verdict::Refused {
            reason: Reason { unmet, is_anonymous },
            missing_scopes: scopes.filter(|_| lacks_scopes_alone),
        }
    }

    /// Whether some condition is about who is asking, so that the policy makes no sense where
    /// nobody finds out.
    pub fn needs_identity(&self) -> bool {
        self.needs_identity
    }

    /// Walks what is not met.
    fn unmet(&self, asked: &Asked<'_>) -> impl Iterator<Item = Unmet<'_>> {
        let Groups { all, any, not } = &self.groups;
        let needed = all.iter().filter(|one| !one.holds(asked)).map(Unmet::Needed);
        let fails = !any.is_empty() && !any.iter().any(|one| one.holds(asked));
        let none_of = fails.then_some(Unmet::NoneOf(any));
        let forbidden = not.iter().filter(|one| one.holds(asked)).map(Unmet::Forbidden);
        needed.chain(none_of).chain(forbidden)
    }
}

impl Kind for Authorize {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let Config { all, any, not } = config;
        let lists = Lists { all: all.as_deref(), any: any.as_deref(), not: not.as_deref() };
        let groups = Groups::compile(lists, 0)?;
        let conditions = || groups.all.iter().chain(&groups.any).chain(&groups.not);
        let needs_identity = conditions().any(Condition::needs_identity);
        let required_scopes = scopes(&groups.all);
        let challenge = challenge(required_scopes.as_deref())?;
        Ok(Authorize { groups, required_scopes, challenge, needs_identity })
    }
}

impl Policy for Authorize {
    type State = ();

    async fn on_request(&self, request: &mut Request<'_>, _: &mut ()) -> Result<(), Stop> {
        let Request { head, facts, .. } = request;
        let asked = Asked {
            identity: facts.identity().map(|identity| &**identity),
            method: &head.method,
            client: facts.client,
            time: facts.time,
        };
        let (reason, missing_scopes) = match self.decide(&asked) {
            Verdict::Permitted => return Ok(()),
            Verdict::Refused { reason, missing_scopes } => (reason.to_string(), missing_scopes),
        };
        let rejection = match (&facts.authentication, missing_scopes) {
            // Nobody is not let in, and somebody might be (RFC 9110 §15.5.2).
            (Authentication::Anonymous { challenges }, _) if self.needs_identity => {
                let (why, challenges) = (Unproven::Missing, Arc::clone(challenges));
                Rejection::Unauthenticated { why, challenges }
            }
            (_, Some(_)) => Rejection::InsufficientScope { challenge: self.challenge.clone() },
            (_, None) => Rejection::Forbidden,
        };
        facts.cause = Some(format!("not authorised: {reason}"));
        Err(rejection.into())
    }
}

fn challenge(scopes: Option<&str>) -> Result<HeaderValue, Invalid> {
    let scopes = scopes.unwrap_or_default();
    HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\""))
        .map_err(|_| Invalid::new("a scope is of visible ASCII (RFC 6749 §3.3)").under("all"))
}

fn scopes(conditions: &[Condition]) -> Option<Box<str>> {
    let mut scopes: Vec<&str> = Vec::new();
    for condition in conditions {
        if let Condition::Scope(scope) = condition
            && !scopes.contains(&&**scope)
        {
            scopes.push(scope);
        }
    }
    (!scopes.is_empty()).then(|| scopes.join(" ").into())
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unmet {
            Unmet::Needed(one @ (Condition::Role(_) | Condition::Scope(_) | Condition::Tag(_))) => {
                write!(f, "{one} is missing")?
            }
            Unmet::Needed(one) => write!(f, "{one} does not hold")?,
            Unmet::NoneOf(conditions) => write!(f, "none of {} holds", List(conditions))?,
            Unmet::Forbidden(one) => write!(f, "{one} holds")?,
        }
        match self.is_anonymous {
            true => f.write_str(", and nobody knows who is asking"),
            false => Ok(()),
        }
    }
}
