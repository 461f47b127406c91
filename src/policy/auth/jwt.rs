//! Signed tokens: whose they are, and with which keys they are verified.

use super::maker::Maker;
use crate::credential::Place;
use crate::issuer::{Issuer, Plan};
use crate::jose::{Algorithm, Algorithms, KeySet, LEEWAY, MAX_SIZE, Rules};
use crate::policy::Build;
use crate::value::{ByteSize, Duration, Invalid, OneOrMany, Secret, outside};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Tokens of one issuer, signed by it (RFC 7519). Exactly one of `secret`, `public_key` and `jwks`
/// says with which keys they are verified; without one, the issuer's metadata say where they are
/// (OpenID Connect Discovery, RFC 8414).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Jwt")]
pub struct Config {
    /// The issuer: the `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// For whom its tokens are: one of these is in their `aud`. Without it, only tokens that have no
    /// `aud` are accepted (RFC 7519 §4.1.3).
    pub audience: Option<OneOrMany<String>>,
    /// What they may be signed with. HS256 for a `secret` where it is left out; for other keys, all
    /// algorithms that fit the keys.
    pub algorithms: Option<OneOrMany<Algorithm>>,
    /// A secret that the issuer has too, for HS256, HS384 and HS512: its bytes as they are, at least
    /// as many as the digest has (RFC 7518 §3.2).
    pub secret: Option<Secret>,
    /// A file with public keys in PEM, or with certificates that have them.
    pub public_key: Option<String>,
    /// A JWK set (RFC 7517): a file, or a URL that is asked again and again. Secret keys (`oct`)
    /// count in a file alone.
    pub jwks: Option<String>,
    /// How often the keys of a URL are fetched. Where it is left out, as the answer's
    /// `Cache-Control: max-age` says, between one minute and one hour, or every 5 minutes. A token
    /// with an unknown `kid` makes them be fetched at once.
    pub refresh: Option<Duration>,
    /// Where the token stands; in the header `Authorization` where it is left out.
    pub from: Option<OneOrMany<Place>>,
    /// How far the issuer's clock may differ from this one; 5 seconds where it is left out.
    pub leeway: Option<Duration>,
    /// The `typ` that its tokens must have, such as `at+jwt` (RFC 9068 §2.1). Where it is left out,
    /// they have `JWT`, `at+jwt` or none.
    #[serde(rename = "type")]
    pub typ: Option<String>,
    /// How large a token may be; 8 KiB where it is left out.
    pub max_size: Option<ByteSize>,
    /// The claims that have the roles; names with dots lead into objects, as
    /// `realm_access.roles` does. `roles` and `role` where it is left out.
    pub roles: Option<OneOrMany<String>>,
}

impl Config {
    /// Whether the keys are what stands here, and not fetched.
    pub fn is_kept_here(&self) -> bool {
        self.secret.is_some() || self.public_key.is_some()
    }
}

/// One issuer's tokens.
#[derive(Debug)]
pub struct Jwt {
    /// What they must say.
    pub rules: Rules,
    /// What they are verified with.
    pub keys: Keys,
    /// Where they may stand.
    pub from: Vec<Place>,
    /// Makes identities of their claims.
    pub maker: Maker,
}

/// The keys of an issuer.
#[derive(Debug)]
pub enum Keys {
    /// They do not change.
    Fixed(Arc<KeySet>),
    /// They are fetched.
    Fetched(Arc<Issuer<KeySet>>),
}

impl Keys {
    /// Grows when some of them are gone.
    pub fn generation(&self) -> u64 {
        match self {
            Keys::Fixed(_) => 0,
            Keys::Fetched(issuer) => issuer.generation(),
        }
    }
}

impl Jwt {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses keys that cannot be read, and algorithms that do not fit them.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        if config.issuer.is_empty() {
            return Err(Invalid::new("the issuer has a name").under("issuer"));
        }
        let typed: Option<Algorithms> =
            config.algorithms.as_ref().map(|typed| typed.iter().copied().collect());
        let given = [
            ("secret", config.secret.is_some()),
            ("public_key", config.public_key.is_some()),
            ("jwks", config.jwks.is_some()),
        ];
        let mut given = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
        let first = given.next();
        if let (Some(first), Some(second)) = (first, given.next()) {
            let message = format!("the keys are in `{first}` already");
            return Err(Invalid::new(message).under(second));
        }
        let is_fetched = config.jwks.as_deref().is_some_and(is_url) || first.is_none();
        if config.refresh.is_some() && !is_fetched {
            let message = "keys that stand here are not fetched";
            return Err(Invalid::new(message).under("refresh"));
        }
        if config.refresh.is_some_and(|every| every.as_secs() == 0) {
            let message = "an issuer is asked once a second at the most";
            return Err(Invalid::new(message).under("refresh"));
        }
        let (keys, algorithms) = keys(config, typed, build)?;
        if config.roles.as_ref().is_some_and(|roles| roles.iter().any(String::is_empty)) {
            return Err(Invalid::new("a claim has a name").under("roles"));
        }
        let roles: Vec<String> = config.roles.iter().flat_map(|all| all.iter().cloned()).collect();
        let from = config.from.iter().flat_map(|all| all.iter().cloned()).collect::<Vec<_>>();
        let audience = config.audience.iter().flat_map(|all| all.iter());
        Ok(Jwt {
            rules: Rules {
                issuer: config.issuer.as_str().into(),
                audience: audience.map(|one| one.as_str().into()).collect(),
                algorithms,
                leeway: config.leeway.map_or(LEEWAY, |leeway| *leeway),
                typ: config.typ.as_deref().map(Box::from),
                max_size: config.max_size.map_or(MAX_SIZE, |size| size.0 as usize),
            },
            keys,
            from: if from.is_empty() { vec![Place::Bearer] } else { from },
            maker: Maker::new(&build.vouched, &build.consumers, &roles),
        })
    }
}

/// The keys, and what tokens may be signed with.
fn keys(
    config: &Config,
    typed: Option<Algorithms>,
    build: &Build,
) -> Result<(Keys, Algorithms), Invalid> {
    let in_algorithms = |invalid: Invalid| invalid.under("algorithms");
    if let Some(secret) = &config.secret {
        let algorithms = typed.unwrap_or_else(|| [Algorithm::HS256].into_iter().collect());
        if let Some(other) = algorithms.iter().find(|one| !one.is_symmetric()) {
            let message =
                format!("{other} is verified with a `public_key` and not with a `secret`");
            return Err(in_algorithms(Invalid::new(message)));
        }
        let keys = KeySet::secret(secret.reveal().as_bytes(), algorithms);
        let keys = keys.map_err(|invalid| invalid.under("secret"))?;
        return Ok((Keys::Fixed(Arc::new(keys)), algorithms));
    }
    let symmetric = typed.and_then(|typed| typed.iter().find(|one| one.is_symmetric()));
    if let Some(file) = &config.public_key {
        let within = |invalid: Invalid| invalid.under("public_key");
        let text = outside::file(&build.folder, file).map_err(within)?;
        let keys = KeySet::pem(&text).map_err(within)?;
        return fixed(keys, typed);
    }
    match &config.jwks {
        Some(file) if !is_url(file) => {
            let within = |invalid: Invalid| invalid.under("jwks");
            let text = outside::file(&build.folder, file).map_err(within)?;
            let (keys, skipped) = KeySet::jwks(&text, true).map_err(within)?;
            if keys.is_empty() {
                let why = skipped.first().map(|one| format!(": {one}")).unwrap_or_default();
                return Err(within(Invalid::new(format!("none of its keys is of use{why}"))));
            }
            fixed(keys, typed)
        }
        fetched => {
            if let Some(algorithm) = symmetric {
                let message = format!("{algorithm} needs a secret, which nobody publishes");
                return Err(in_algorithms(Invalid::new(message)));
            }
            let plan = match fetched {
                Some(url) => Plan::keys(&config.issuer, url).map_err(|no| no.under("jwks"))?,
                None => Plan::discovered(&config.issuer).map_err(|invalid| {
                    let message = format!(
                        "{invalid}; where the keys are is not said: write `secret`, `public_key` \
                         or `jwks`"
                    );
                    Invalid::new(message).under("issuer")
                })?,
            };
            let plan = config.refresh.iter().fold(plan, |plan, every| plan.refresh(**every));
            let algorithms = typed.unwrap_or_else(|| {
                Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric()).collect()
            });
            Ok((Keys::Fetched(build.issuers.of(plan)), algorithms))
        }
    }
}

/// Keys that do not change: each algorithm that was typed must be one of theirs.
fn fixed(keys: KeySet, typed: Option<Algorithms>) -> Result<(Keys, Algorithms), Invalid> {
    let able = keys.algorithms();
    let algorithms = typed.unwrap_or(able);
    if let Some(other) = algorithms.iter().find(|one| !able.contains(*one)) {
        let names: Vec<&str> = able.iter().map(Algorithm::name).collect();
        let message = format!("no key is for {other}, they are for {}", names.join(", "));
        return Err(Invalid::new(message).under("algorithms"));
    }
    Ok((Keys::Fixed(Arc::new(keys)), algorithms))
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
