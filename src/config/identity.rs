//! What services are told of who is asking.

use crate::exchange::{Assertion, Vouched, signers};
use crate::jose::{Algorithm, Issuing};
use crate::value::{Duration, Fields, HeaderName, Invalid, OneOrMany, Secret, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time;

/// How long a token is good, where nothing is said.
const TTL: time::Duration = time::Duration::from_secs(60);

/// What services are told of who is asking.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Identity")]
pub struct IdentityConfig {
    /// Header fields that are set from who was authenticated, such as `$(identity.sub)`, and left
    /// out where there is nobody or nothing to say. They are taken out of every client's request,
    /// on every route, in every spelling that a service may read the same.
    pub headers: Fields,
    /// A signed token that tells services the same, beside the fields or in their place: they can
    /// check who signed it.
    pub token: Option<AssertionConfig>,
    /// The path at which anyone may ask for the public keys of the tokens that the gateway signs,
    /// here and in a `login`: a JWK set (RFC 7517). Nowhere where it is left out.
    pub jwks: Option<String>,
}

/// A token that tells services who is asking.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityToken")]
pub struct AssertionConfig {
    /// The header field that carries it; `X-Identity-Token` where it is left out. In
    /// `Authorization` it is a bearer token.
    pub header: Option<HeaderName>,
    /// The algorithm that it is signed with.
    pub algorithm: Algorithm,
    /// Files of private keys in PEM: the first signs. The others are still published: a new key is
    /// put before the old one, which goes when nobody has its tokens any more.
    pub key: Option<OneOrMany<String>>,
    /// The secret, for HS256, HS384 and HS512.
    pub secret: Option<Secret>,
    /// Its `iss`.
    pub issuer: String,
    /// Its `aud`; none where it is left out.
    pub audience: Option<OneOrMany<String>>,
    /// How long it is good; 60 seconds where it is left out.
    pub ttl: Option<Duration>,
    /// Claims beside `sub`, `roles`, `scope`, `consumer` and `tier`, or in their place, from
    /// `identity.` and `consumer.`. One that is a single reference keeps the type that it has there.
    #[serde(default)]
    pub claims: BTreeMap<String, Template>,
}

impl IdentityConfig {
    /// Turns what was typed into what it means. Keys are found from `folder`.
    ///
    /// # Errors
    ///
    /// Refuses fields that belong to the connection, and keys that do not fit their algorithm.
    pub fn compile(&self, folder: &Path) -> Result<Vouched, Invalid> {
        let assertion = self.token.as_ref().map(|token| token.compile(folder)).transpose();
        let assertion = assertion.map_err(|invalid| invalid.under("token"))?;
        Vouched::compile(&self.headers, assertion).map_err(|invalid| invalid.under("headers"))
    }
}

impl AssertionConfig {
    fn compile(&self, folder: &Path) -> Result<Assertion, Invalid> {
        let secret = self.secret.as_ref();
        let signers = signers(self.algorithm, self.key.as_deref(), secret, folder)?;
        let lifetime = self.ttl.map_or(TTL, |ttl| *ttl);
        if lifetime.as_secs() == 0 {
            return Err(Invalid::new("a token is good for a second at least").under("ttl"));
        }
        let audience = self.audience.iter().flat_map(|all| all.iter());
        let issuing = Issuing {
            issuer: self.issuer.as_str().into(),
            audience: audience.map(|one| one.as_str().into()).collect(),
            lifetime,
        };
        let header = match &self.header {
            Some(name) => name.editable().map_err(|invalid| invalid.under("header"))?,
            None => http::HeaderName::from_static("x-identity-token"),
        };
        let claims = self.claims.iter().map(|(name, claim)| (name.clone(), claim.clone()));
        Assertion::new(header, signers, issuing, claims.collect())
            .map_err(|invalid| invalid.under("claims"))
    }
}
