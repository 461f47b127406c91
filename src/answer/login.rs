//! A login: a service says whether credentials are good, and the gateway makes a signed token of
//! what it answers.
//!
//! The credentials are in the body, which goes to that service and nowhere else: it is not logged,
//! mirrored or kept. What the service answers to bad ones is not passed on, since it may tell a user
//! that does not exist from a wrong password.

mod answered;
pub mod session;

use crate::exchange::{References, Unproven, signers};
use crate::jose::{Algorithm, Issuing, Signer, check_claim_name, random_id};
use crate::reply::{Rejection, Reply};
use crate::upstream::ask::{Ask, AskError, Whom};
use crate::upstream::call::{self, Limits};
use crate::value::{
    BodyPath, ByteSize, Duration, Invalid, Name, OneOrMany, Reference, Secret, Template,
};
use answered::Answered;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    SET_COOKIE,
};
use http::{Method, StatusCode, Uri, request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use session::Session;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time;

/// How long the service may take, where nothing is said.
const TIMEOUT: time::Duration = time::Duration::from_secs(5);

/// How large a body with credentials may be, where nothing is said.
const MAX_BODY: u64 = 16 * 1024;

/// How much of the service's answer is read.
const MAX_ANSWER: usize = 64 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A signed token for credentials that a service says are good.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Login")]
pub struct Config {
    /// The service that says whether the credentials are good: any answer of 200 to 299 says that
    /// they are, and has to be JSON; 400, 401, 403, 404 and 422 say that they are not.
    pub service: Name,
    /// Where it is asked, by POST, with the client's body, which has to be JSON.
    pub path: Template,
    /// How long it may take; 5 seconds where it is left out.
    pub timeout: Option<Duration>,
    /// How large the client's body may be; 16 KiB where it is left out.
    pub max_body: Option<ByteSize>,
    /// What of the service's answer the client gets as `user`; all of it where it is left out.
    pub user: Option<BodyPath>,
    /// The token that is made.
    pub token: TokenConfig,
    /// A cookie that is set as well, for browsers: it holds the token's claims, sealed, so that only
    /// the gateway can read it (`auth.session`). With it, `token` needs no key: then the answer has
    /// no `token`, and no script can get at what the session is.
    pub session: Option<session::Config>,
}

/// A token that the gateway signs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LoginToken")]
pub struct TokenConfig {
    /// The algorithm that it is signed with.
    pub algorithm: Option<Algorithm>,
    /// Files of private keys in PEM, for all algorithms but HS256, HS384 and HS512: the first signs,
    /// the others are still published (`identity.jwks`).
    pub key: Option<OneOrMany<String>>,
    /// The secret, for HS256, HS384 and HS512.
    pub secret: Option<Secret>,
    /// Its `iss`.
    pub issuer: String,
    /// Its `aud`; none where it is left out.
    pub audience: Option<OneOrMany<String>>,
    /// How long it is good.
    pub ttl: Duration,
    /// Further claims, such as `sub: $(answer.body.id)`. One that is a single reference keeps the
    /// type that it has in the service's answer, but for `sub`, which is text (RFC 7519 §4.1.2).
    /// Those that refer to what is not there are left out.
    #[serde(default)]
    pub claims: BTreeMap<String, Template>,
}

/// The compiled login.
#[derive(Debug)]
pub struct Login {
    whom: Whom,
    path: Template,
    limits: Limits,
    /// How large the client's body may be, in bytes.
    pub max_body: u64,
    user: Option<BodyPath>,
    /// What signs its tokens, if it gives any: the first does.
    signers: Vec<Signer>,
    issuing: Issuing,
    claims: Vec<(String, Template)>,
    session: Option<Session>,
}

/// What comes of a login that makes no token.
#[derive(Debug)]
pub struct Failed {
    /// What the client is told.
    pub rejection: Rejection,
    /// Why, for the log.
    pub cause: String,
}

impl Login {
    /// Turns what was typed into what it means. The key is found from `folder`.
    ///
    /// # Errors
    ///
    /// Refuses a key that does not fit its algorithm, and claims that the gateway sets itself.
    pub fn compile(config: &Config, whom: Whom, folder: &Path) -> Result<Self, Invalid> {
        let within = |invalid: Invalid| invalid.under("token");
        let TokenConfig { algorithm, key, secret, issuer, audience, ttl, claims } = &config.token;
        let signers = match algorithm {
            Some(algorithm) => {
                signers(*algorithm, key.as_deref(), secret.as_ref(), folder).map_err(within)?
            }
            None if config.session.is_some() && key.is_none() && secret.is_none() => Vec::new(),
            None => return Err(within(Invalid::new("the key `algorithm` is missing"))),
        };
        if ttl.as_secs() == 0 {
            let message = "a token is good for a second at least";
            return Err(within(Invalid::new(message).under("ttl")));
        }
        for name in claims.keys() {
            check_claim_name(name)
                .map_err(|invalid| within(invalid.under(name.as_str()).under("claims")))?;
        }
        let audience = audience.iter().flat_map(|audience| audience.iter());
        let issuing = Issuing {
            issuer: issuer.as_str().into(),
            audience: audience.map(|one| one.as_str().into()).collect(),
            lifetime: **ttl,
        };
        let session = config.session.as_ref().map(|session| Session::compile(session, **ttl));
        let session = session.transpose().map_err(|invalid| invalid.under("session"))?;
        let limits = Limits {
            deadline: config.timeout.map_or(TIMEOUT, |timeout| *timeout),
            body: MAX_ANSWER,
        };
        Ok(Login {
            whom,
            path: config.path.clone(),
            limits,
            max_body: config.max_body.map_or(MAX_BODY, |size| size.0),
            user: config.user.clone(),
            signers,
            issuing,
            claims: claims.iter().map(|(name, claim)| (name.clone(), claim.clone())).collect(),
            session,
        })
    }

    /// What signs its tokens, if it gives any: the first does.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Walks what its templates refer to beside the service's answer.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let claims = self.claims.iter().flat_map(|(_, claim)| claim.references());
        let claims = claims.filter(|reference| !matches!(reference, Reference::Answer(_)));
        self.path.references().chain(claims)
    }

    /// Whether a request's head announces a body that can hold credentials.
    ///
    /// # Errors
    ///
    /// Refuses what is not said to be JSON, or is encoded.
    pub fn accepts(head: &request::Parts) -> Result<(), Rejection> {
        let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_json = essence.eq_ignore_ascii_case(b"application/json");
        let is_plain = !head.headers.contains_key(CONTENT_ENCODING);
        match is_json && is_plain {
            true => Ok(()),
            false => Err(Rejection::UnsupportedMediaType { accept: "application/json" }),
        }
    }

    /// Asks the service, and makes the token.
    ///
    /// # Errors
    ///
    /// Says that the credentials are not good, or why nobody knows.
    pub async fn answer(
        &self,
        body: Bytes,
        references: References<'_>,
        services: &dyn Ask,
    ) -> Result<Reply, Failed> {
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            let rejection = Rejection::BadRequest("the body is not JSON");
            return Err(Failed { rejection, cause: "the body is not JSON".to_owned() });
        }
        let head = self.question(references, services)?;
        let answer = services.ask(&self.whom, head, body, self.limits).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        let user = self.good(&answer)?;
        let headers = &answer.head.headers;
        self.reply(&user, headers, references)
    }

    /// What the service is asked.
    fn question(
        &self,
        references: References<'_>,
        services: &dyn Ask,
    ) -> Result<request::Parts, Failed> {
        let lacking = || Failed {
            rejection: Rejection::NoPath,
            cause: "the request lacks what the login's path is made of".to_owned(),
        };
        let mut path = Vec::new();
        self.path.render_path(&references, &mut path).then_some(()).ok_or_else(lacking)?;
        let uri = Uri::try_from(path).map_err(|_| lacking())?;
        let (mut head, ()) = http::Request::new(()).into_parts();
        (head.method, head.uri) = (Method::POST, uri);
        let facts = references.facts;
        head.headers.insert(CONTENT_TYPE, JSON);
        head.headers.insert(ACCEPT, JSON);
        head.headers.insert(services.request_id(), facts.request_id.clone());
        if let Ok(client) = HeaderValue::try_from(facts.client.to_string()) {
            head.headers.insert(X_FORWARDED_FOR, client);
        }
        facts.trace.set(&mut head.headers);
        Ok(head)
    }

    /// Why the service gave no answer.
    fn unanswered(&self, error: &AskError) -> Failed {
        let service = Arc::clone(self.whom.service.name());
        let rejection = match error {
            AskError::NoEndpoint => Rejection::Unavailable { service, retry_after: ASK_AGAIN },
            // Its time may end by the call's clock or by the connection's, whichever looks first.
            AskError::Call(error) => error.failure().rejection(service),
        };
        Failed { rejection, cause: format!("the login's service: {error}") }
    }

    /// What the service says of credentials that are good.
    fn good(&self, answer: &call::Answer) -> Result<Value, Failed> {
        let bad_gateway = |cause: &str| Failed {
            rejection: Rejection::BadGateway { service: Arc::clone(self.whom.service.name()) },
            cause: cause.to_owned(),
        };
        let status = answer.head.status;
        match status {
            status if status.is_success() => serde_json::from_slice(&answer.body)
                .map_err(|_| bad_gateway("the login's service did not answer with JSON")),
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::UNPROCESSABLE_ENTITY => Err(Failed {
                rejection: Rejection::Unauthenticated {
                    why: Unproven::Invalid,
                    challenges: Arc::from([HeaderValue::from_static("Bearer realm=\"login\"")]),
                },
                cause: format!("the login's service answered {}", status.as_u16()),
            }),
            status => {
                Err(bad_gateway(&format!("the login's service answered {}", status.as_u16())))
            }
        }
    }

    fn reply(
        &self,
        body: &Value,
        headers: &HeaderMap,
        references: References<'_>,
    ) -> Result<Reply, Failed> {
        let answered = Answered { body, headers, references };
        let mut claims = Map::new();
        for (name, template) in &self.claims {
            if let Some(value) = answered.claim(template, name == "sub") {
                claims.insert(name.clone(), value);
            }
        }
        let is_somebody = |sub: &Value| sub.as_str().is_some_and(|sub| !sub.is_empty());
        let says_whose = self.claims.iter().any(|(name, _)| name == "sub");
        if says_whose && !claims.get("sub").is_some_and(is_somebody) {
            // A token that is nobody's would be anybody's.
            return Err(Failed {
                rejection: Rejection::BadGateway { service: Arc::clone(self.whom.service.name()) },
                cause: "the login's service did not say what `sub` is made of".to_owned(),
            });
        }
        let failed =
            |cause: &str| Failed { rejection: Rejection::Internal, cause: cause.to_owned() };
        let id = random_id().ok_or_else(|| failed("the system gives no random numbers"))?;
        let claims = self.issuing.claims(claims, references.facts.time, id);
        let user = match &self.user {
            Some(path) => answered.at(path).cloned().unwrap_or(Value::Null),
            None => body.clone(),
        };
        let mut headers =
            vec![(CONTENT_TYPE, JSON), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let mut body = json!({"expiresIn": self.issuing.lifetime.as_secs(), "user": user});
        if let Some(session) = &self.session {
            let cookie = session.cookie(&claims).map_err(|error| failed(&error))?;
            headers.push((SET_COOKIE, cookie));
        }
        if let Some(signer) = self.signers.first() {
            let token = signer.sign("JWT", &claims);
            body["token"] = token.map_err(|error| failed(&error.to_string()))?.into();
        }
        Ok(Reply { status: StatusCode::OK, headers, body: body.to_string().into() })
    }
}

/// When it is worth to ask again for a service that has no endpoint.
const ASK_AGAIN: time::Duration = time::Duration::from_secs(2);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
