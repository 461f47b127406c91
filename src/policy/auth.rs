//! The auth decision of a route: a route that has none does not pass the check.
//!
//! `none` says that anyone may ask. Otherwise there are ways to show who one is, and the first that
//! leads to somebody decides. A credential that proves nothing is never taken for none: whoever shows
//! one is refused, even where nobody needs any.

mod api_key;
mod basic;
mod challenge;
pub mod consumers;
mod forward;
mod found;
mod introspect;
mod jwt;
mod maker;
mod mtls;
pub mod session;
mod token;
mod verified;
mod way;

pub use jwt::Keys;
pub use way::WayConfig;

use super::{Build, Kind, Policy, Request, Setting};
use crate::credential::{Authorization, Place};
use crate::exchange::{Authentication, Facts, References, Unproven, UpstreamRequest, Vouched};
use crate::issuer::Issuer;
use crate::issuer::introspection::Introspector;
use crate::jose::KeySet;
use crate::reply::{Rejection, Stop};
use crate::telemetry::metrics;
use crate::value::{Invalid, Step};
use challenge::Challenges;
use found::{Found, Refused};
use http::StatusCode;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use token::Tokens;
use way::{Way, Ways};

/// What credentials are good for, where nothing is said.
const REALM: &str = "sluicegate";

/// How a route finds out who is asking: one way, or `any_of` several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Auth")]
pub struct Config {
    /// Several ways: the first that leads to somebody decides. Where none does, a credential that
    /// was shown and proves nothing is what is wrong.
    pub any_of: Option<Vec<WayConfig>>,
    /// A signed token (RFC 7519), as the only way.
    pub jwt: Option<jwt::Config>,
    /// A token that its issuer is asked about (RFC 7662), as the only way.
    pub introspection: Option<introspect::Config>,
    /// A key of a consumer, as the only way.
    pub api_key: Option<api_key::Config>,
    /// A user and a password of a consumer (RFC 7617), as the only way.
    pub basic: Option<basic::Config>,
    /// A client certificate of a consumer, as the only way.
    pub mtls: Option<mtls::Config>,
    /// A cookie that a `login` has set, as the only way.
    pub session: Option<session::Config>,
    /// Whatever a service makes of the request, as the only way.
    pub forward_auth: Option<forward::Config>,
    /// Whether a request without a credential passes, as nobody's. One whose credential proves
    /// nothing is refused all the same. No where it is left out.
    pub optional: bool,
    /// Whether the credential goes on to the service. No where it is left out: it is taken out of
    /// the request, and `identity` tells the service who is asking. Alone, without any way, it lets
    /// anyone ask, and the service has to find out who it is.
    pub forward_credentials: bool,
    /// What credentials are good for, in `WWW-Authenticate`; `sluicegate` where it is left out.
    pub realm: Option<String>,
    /// Whether it was written as `none`.
    #[serde(skip)]
    is_none: bool,
}

/// How a route finds out who is asking.
#[derive(Debug)]
pub struct Auth {
    ways: Ways,
    challenges: Challenges,
    optional: bool,
    forward_credentials: bool,
    vouched: Arc<Vouched>,
}

impl Config {
    /// The one way that stands beside `any_of`.
    fn only(&self) -> WayConfig {
        WayConfig {
            jwt: self.jwt.clone(),
            introspection: self.introspection.clone(),
            api_key: self.api_key.clone(),
            basic: self.basic.clone(),
            mtls: self.mtls.clone(),
            session: self.session.clone(),
            forward_auth: self.forward_auth.clone(),
        }
    }

    /// The ways that were typed, with where they stand.
    pub fn ways(&self) -> impl Iterator<Item = (Vec<Step>, WayConfig)> {
        let only = Some(self.only()).filter(WayConfig::is_given).map(|only| (Vec::new(), only));
        let several = self.any_of.iter().flatten().enumerate();
        let several = several.map(|(number, way)| {
            let at: Vec<Step> = vec!["any_of".into(), number.into()];
            (at, way.clone())
        });
        only.into_iter().chain(several)
    }

    /// The services that are asked who somebody is.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let only = self.forward_auth.iter().map(|config| &config.service);
        let several = self.any_of.iter().flatten().filter_map(WayConfig::service);
        only.chain(several).map(|name| name.as_str())
    }

    /// Anyone may ask.
    fn open() -> Self {
        Config { is_none: true, ..Config::default() }
    }
}

impl Auth {
    /// Whether anyone may ask.
    pub fn is_open(&self) -> bool {
        self.ways.all.is_empty()
    }

    /// Whether a service is asked.
    pub fn asks_services(&self) -> bool {
        self.ways.all.iter().any(Way::asks_services)
    }

    /// The issuers that are asked for their keys, or where else they are to be asked.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<Issuer<KeySet>>> {
        let fetched = self.tokens().flat_map(Tokens::jwts).filter_map(|jwt| match &jwt.keys {
            Keys::Fetched(issuer) => Some(issuer),
            Keys::Fixed(_) => None,
        });
        let asked = self.tokens().flat_map(Tokens::introspections);
        fetched.chain(asked.filter_map(|one| one.issuer.as_ref()))
    }

    /// Those who ask about tokens.
    pub fn introspectors(&self) -> impl Iterator<Item = &Arc<Introspector>> {
        self.tokens().flat_map(Tokens::introspections).map(|one| &one.introspector)
    }

    /// Where credentials stand, beside the field `Authorization`.
    pub fn places(&self) -> &[Place] {
        &self.ways.places
    }

    /// Tells the client what is wrong with what it has shown, and the log why.
    fn refuse(&self, facts: &mut Facts, refused: Refused) -> Stop {
        let challenges = self.challenges.of(&refused);
        let Refused { way, why, reason, claimed } = refused;
        facts.cause = Some(reason.into_owned());
        facts.authentication = Authentication::Refused { way, why, claimed };
        Rejection::Unauthenticated { why, challenges }.into()
    }

    fn tokens(&self) -> impl Iterator<Item = &Tokens> {
        self.ways.all.iter().filter_map(Way::tokens)
    }
}

impl Kind for Auth {
    type Config = Config;

    /// `none` is a decision here, not the lack of one.
    fn fold(_outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        match inner {
            Setting::Off => Some(Config::open()),
            Setting::Set(config) => Some(config),
        }
    }

    fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        let realm = config.realm.as_deref().unwrap_or(REALM);
        let only = config.only();
        match &config.any_of {
            Some(_) if only.is_given() => {
                let message = format!("`{}` is the only way already", only.name());
                return Err(Invalid::new(message).under("any_of"));
            }
            Some(several) if several.is_empty() => {
                return Err(Invalid::new("no way leads to anybody").under("any_of"));
            }
            _ => {}
        }
        let typed: Vec<(Vec<Step>, WayConfig)> = config.ways().collect();
        if typed.is_empty() && config.optional {
            let message = "there is no way to show who one is";
            return Err(Invalid::new(message).under("optional"));
        }
        if typed.is_empty() && !config.forward_credentials && !config.is_none {
            return Err(Invalid::new(
                "a way to show who one is is missing, such as `jwt`; write `none` if anyone may ask",
            ));
        }
        let ways = Ways::compile(&typed, realm, build)?;
        let challenges = Challenges::new(&ways.kinds, realm, ways.basic.as_deref());
        let challenges = challenges.map_err(|invalid| invalid.under("realm"))?;
        let Config { optional, forward_credentials, .. } = *config;
        let vouched = Arc::clone(&build.vouched);
        Ok(Auth { ways, challenges, optional, forward_credentials, vouched })
    }
}

impl Policy for Auth {
    type State = ();

    async fn on_request(&self, request: &mut Request<'_>, _: &mut ()) -> Result<(), Stop> {
        if self.is_open() {
            return Ok(());
        }
        let mut refused: Option<Refused> = None;
        let mut undecided = None;
        let mut lines = request.head.headers.get_all(AUTHORIZATION).iter();
        if lines.nth(1).is_some() {
            // Whatever leads to somebody: a service might read the other line (RFC 9110 §5.3).
            return Err(self.refuse(request.facts, Refused::repeated()));
        }
        for way in &self.ways.all {
            match way.check(request).await {
                Found::Known(identity) => {
                    request.facts.authentication = Authentication::Known(identity);
                    return Ok(());
                }
                Found::Nothing => {}
                Found::Answered(reply) => {
                    let status = reply.status;
                    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                        let (way, why) = (Some(metrics::Way::ForwardAuth), Unproven::Invalid);
                        request.facts.authentication =
                            Authentication::Refused { way, why, claimed: None };
                    }
                    let cause = format!("the service that decides answered {}", status.as_u16());
                    request.facts.cause = Some(cause);
                    return Err(Stop::Reply(reply));
                }
                Found::Refused(one) => drop(refused.get_or_insert(one)),
                Found::Undecided(why) => drop(undecided.get_or_insert(why)),
            }
        }
        let facts = &mut *request.facts;
        // What nobody could decide may have been good.
        if let Some(why) = undecided {
            facts.cause = Some(why.into_owned());
            return Err(Rejection::Undecided.into());
        }
        if refused.is_none() && self.optional {
            let challenges = self.challenges.of(&Refused::missing());
            facts.authentication = Authentication::Anonymous { challenges };
            return Ok(());
        }
        Err(self.refuse(facts, refused.unwrap_or_else(Refused::missing)))
    }

    /// Takes the credential out of the request, since who has it could ask in the client's name, and
    /// tells the service who is asking. What a client says of that was taken out before it was
    /// routed; set here and not on the client's head, it cannot be taken away by `Connection`.
    fn on_upstream_request(
        &self,
        request: &mut UpstreamRequest<'_>,
        _: &mut (),
    ) -> Result<(), Rejection> {
        if !self.forward_credentials {
            Authorization::remove(&mut request.head.headers);
            self.places().iter().for_each(|place| place.remove(request.head));
        }
        let UpstreamRequest { head, client, facts } = request;
        if let Some(identity) = facts.identity() {
            let references = References { head: client, facts };
            self.vouched.set(&mut head.headers, identity, references);
        }
        Ok(())
    }
}
