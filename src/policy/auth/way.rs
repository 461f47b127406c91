//! The ways in which a client may show who it is.

use super::api_key::{self, ApiKey};
use super::basic::{self, Basic};
use super::forward::{self, Forward};
use super::found::Found;
use super::introspect::{self, Introspect};
use super::jwt::{self, Jwt};
use super::mtls::{self, Mtls};
use super::session::{self, Session};
use super::token::Tokens;
use crate::credential::Place;
use crate::policy::{Build, Request};
use crate::telemetry::metrics::Way as Kind;
use crate::value::{Invalid, Name, Step};
use schemars::JsonSchema;
use serde::Deserialize;

/// A way to show who one is: exactly one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Way")]
pub struct WayConfig {
    /// A signed token (RFC 7519).
    pub jwt: Option<jwt::Config>,
    /// A token that its issuer is asked about (RFC 7662).
    pub introspection: Option<introspect::Config>,
    /// A key of a consumer.
    pub api_key: Option<api_key::Config>,
    /// A user and a password of a consumer (RFC 7617).
    pub basic: Option<basic::Config>,
    /// A client certificate of a consumer, as the listener has verified it.
    pub mtls: Option<mtls::Config>,
    /// A cookie that a `login` has set.
    pub session: Option<session::Config>,
    /// Whatever a service makes of the request.
    pub forward_auth: Option<forward::Config>,
}

/// The ways of a route. All tokens are one way, since each of them says whose it is.
#[derive(Debug)]
pub enum Way {
    /// A token.
    Token(Tokens),
    /// A key.
    ApiKey(ApiKey),
    /// A user and a password.
    Basic(Basic),
    /// A certificate.
    Mtls(Mtls),
    /// A session.
    Session(Session),
    /// What a service says.
    Forward(Forward),
}

impl WayConfig {
    /// The kinds that it gives.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            ("jwt", self.jwt.is_some()),
            ("introspection", self.introspection.is_some()),
            ("api_key", self.api_key.is_some()),
            ("basic", self.basic.is_some()),
            ("mtls", self.mtls.is_some()),
            ("session", self.session.is_some()),
            ("forward_auth", self.forward_auth.is_some()),
        ];
        given.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect()
    }

    /// The service that is asked, if one is.
    pub fn service(&self) -> Option<&Name> {
        self.forward_auth.as_ref().map(|config| &config.service)
    }

    /// Where somebody is asked about tokens or for keys, by the setting that says so.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        let jwt = self.jwt.iter().filter_map(|jwt| match (&jwt.jwks, jwt.is_kept_here()) {
            (Some(jwks), _) => Some(("jwt", "jwks", jwks.as_str())),
            (None, false) => Some(("jwt", "issuer", jwt.issuer.as_str())),
            (None, true) => None,
        });
        let introspection = self.introspection.iter().map(|one| match &one.endpoint {
            Some(endpoint) => ("introspection", "endpoint", endpoint.as_str()),
            None => ("introspection", "issuer", one.issuer.as_str()),
        });
        jwt.chain(introspection)
    }

    /// The kind that it gives.
    pub fn name(&self) -> &'static str {
        self.given().first().copied().unwrap_or_default()
    }

    /// Whether it gives one.
    pub fn is_given(&self) -> bool {
        !self.given().is_empty()
    }
}

/// What the ways of a route come to.
#[derive(Debug, Default)]
pub struct Ways {
    /// The ways, in the order in which they are tried.
    pub all: Vec<Way>,
    /// What kinds of credentials there are.
    pub kinds: Vec<Kind>,
    /// The realm of users and passwords, where there are some.
    pub basic: Option<String>,
    /// Where credentials stand, beside the field `Authorization`.
    pub places: Vec<Place>,
}

impl Ways {
    /// Turns what was typed into what it means; `realm` is what credentials are good for.
    ///
    /// # Errors
    ///
    /// Refuses ways that are wrong, and what would never be asked.
    pub fn compile(
        typed: &[(Vec<Step>, WayConfig)],
        realm: &str,
        build: &Build,
    ) -> Result<Self, Invalid> {
        let mut ways = Ways::default();
        let (mut jwts, mut introspections): (Vec<Jwt>, Vec<Introspect>) = Default::default();
        // Where among the ways the tokens stand.
        let mut tokens = None;
        for (number, (at, way)) in typed.iter().enumerate() {
            let placed = |invalid: Invalid| at.iter().rev().cloned().fold(invalid, Invalid::under);
            let given = way.given();
            let [key] = given[..] else {
                return Err(placed(Invalid::new(match given[..] {
                    [] => "a way is missing here, such as `jwt` or `api_key`".to_owned(),
                    [first, second, ..] => {
                        format!("`{first}` and `{second}` are two ways: write two entries")
                    }
                    [_] => unreachable!("one is no mistake"),
                })));
            };
            let within = |invalid: Invalid| placed(invalid.under(key));
            if way.jwt.is_some() || way.introspection.is_some() {
                tokens.get_or_insert(ways.all.len());
            }
            if let Some(config) = &way.jwt {
                jwts.push(Jwt::compile(config, build).map_err(within)?);
                ways.kinds.push(Kind::Jwt);
            }
            if let Some(config) = &way.introspection {
                introspections.push(Introspect::compile(config, build).map_err(within)?);
                ways.kinds.push(Kind::Introspection);
            }
            if let Some(config) = &way.api_key {
                let way = ApiKey::compile(config, build).map_err(within)?;
                ways.places.extend(way.from.iter().cloned());
                ways.add(Kind::ApiKey, Way::ApiKey(way));
            }
            if let Some(config) = &way.basic {
                let basic = Basic::compile(build).map_err(within)?;
                ways.add(Kind::Basic, Way::Basic(basic));
                ways.basic = Some(config.realm.clone().unwrap_or_else(|| realm.to_owned()));
            }
            if let Some(config) = &way.mtls {
                let way = Mtls::compile(config, build).map_err(within)?;
                ways.add(Kind::Mtls, Way::Mtls(way));
            }
            if let Some(config) = &way.session {
                let way = Session::compile(config, build).map_err(within)?;
                ways.places.push(way.place.clone());
                ways.add(Kind::Session, Way::Session(way));
            }
            if let Some(config) = &way.forward_auth {
                if number + 1 != typed.len() {
                    let message = "a service always has an answer, so what stands behind this \
                                   would never be asked: put it last";
                    return Err(within(Invalid::new(message)));
                }
                let way = Forward::compile(config, build).map_err(within)?;
                ways.add(Kind::ForwardAuth, Way::Forward(way));
            }
        }
        if let Some(place) = tokens {
            let tokens = Tokens::new(jwts, introspections);
            ways.places.extend(tokens.places().iter().cloned());
            ways.all.insert(place, Way::Token(tokens));
        }
        let vouched = ways.places.iter().find_map(|place| match place {
            Place::Header(name) if build.vouched.is_vouched(name.as_str()) => Some(name),
            _ => None,
        });
        if let Some(name) = vouched {
            return Err(Invalid::new(format!(
                "a credential cannot stand in `{name}`, which `identity` takes out of every request"
            )));
        }
        ways.places.retain(|place| *place != Place::Bearer);
        Ok(ways)
    }

    fn add(&mut self, kind: Kind, way: Way) {
        self.kinds.push(kind);
        self.all.push(way);
    }
}

impl Way {
    /// Looks for a credential of this kind, and whose it is.
    pub async fn check(&self, request: &Request<'_>) -> Found {
        let (head, facts) = (request.head, &*request.facts);
        match self {
            Way::Token(tokens) => tokens.check(head, facts).await,
            Way::ApiKey(keys) => keys.check(head),
            Way::Basic(basic) => basic.check(head, facts.started).await,
            Way::Mtls(mtls) => mtls.check(&facts.connection),
            Way::Session(session) => session.check(head, facts.time),
            Way::Forward(forward) => forward.check(head, facts, request.services).await,
        }
    }

    /// The tokens, where they are this way.
    pub fn tokens(&self) -> Option<&Tokens> {
        match self {
            Way::Token(tokens) => Some(tokens),
            _ => None,
        }
    }

    /// Whether a service is asked.
    pub fn asks_services(&self) -> bool {
        matches!(self, Way::Forward(_))
    }
}
