//! What a token must say of itself (RFC 7519 §4.1), and that it is true: the signature first, then
//! the claims.

use super::date::Date;
use super::{Algorithms, KeySet, Refusal, Token, base64url};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far clocks may differ where nothing else is said.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// What the tokens of one issuer must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Their `iss`, byte for byte.
    pub issuer: Box<str>,
    /// Who they may be for: one of these must be in their `aud`. Where there are none, a token that
    /// is for somebody is refused, since nobody here is known to be that one (RFC 7519 §4.1.3).
    pub audience: Vec<Box<str>>,
    /// What they may be signed with.
    pub algorithms: Algorithms,
    /// How far the clocks of the issuer and of this gateway may differ; `LEEWAY` is usual.
    pub leeway: Duration,
    /// Their `typ`, such as `at+jwt` (RFC 9068 §2.1). Where there is none, `JWT` and `at+jwt` pass,
    /// and tokens without one.
    pub typ: Option<Box<str>>,
    /// How many bytes they may have; `MAX_SIZE` is usual.
    pub max_size: usize,
}

/// What a token says that was found to be true.
#[derive(Clone, PartialEq)]
pub struct Claims {
    /// All that it says.
    pub all: Arc<Map<String, Value>>,
    /// From when on it must not be relied on: its `exp` and the leeway, and never after the year
    /// 9999.
    pub expires: SystemTime,
    /// What whoever shows it has to prove as well, before it may be relied on (RFC 7800).
    pub confirmation: Option<Confirmation>,
}

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// The SHA-256 digest of the client's certificate in DER (RFC 8705 §3.1).
    Certificate([u8; 32]),
}

/// Verifies a token at a moment. The cheap questions come first, then the signature, then the
/// claims: what nobody signed is not judged. That a token has expired is said of one that was good
/// in every other way.
pub fn verify(
    token: &Token<'_>,
    keys: &KeySet,
    rules: &Rules,
    now: SystemTime,
) -> Result<Claims, Refusal> {
    if token.text().len() > rules.max_size {
        return Err(Refusal::TooLarge);
    }
    if !rules.algorithms.contains(token.header().algorithm) {
        return Err(Refusal::AlgorithmNotAllowed);
    }
    if !token.header().is_of(rules.typ.as_deref()) {
        return Err(Refusal::Type);
    }
    keys.check(token)?;
    let claims = token.claims()?;
    rules.judge(claims, now)
}

impl Rules {
    fn judge(&self, claims: &Arc<Map<String, Value>>, now: SystemTime) -> Result<Claims, Refusal> {
        match claims.get("iss") {
            None => return Err(Refusal::NoIssuer),
            Some(issuer) if issuer.as_str() == Some(&*self.issuer) => {}
            Some(_) => return Err(Refusal::Issuer),
        }
        self.judge_audience(claims.get("aud"))?;
        let text = |name| claims.get(name).is_none_or(Value::is_string);
        if !text("sub") {
            return Err(Refusal::Subject);
        }
        if !text("jti") {
            return Err(Refusal::TokenId);
        }
        let confirmation = claims.get("cnf").map(confirmation).transpose()?;
        let expires = self.judge_dates(claims, Date::of(now))?;
        Ok(Claims { all: Arc::clone(claims), expires, confirmation })
    }

    fn judge_audience(&self, audience: Option<&Value>) -> Result<(), Refusal> {
        let Some(audience) = audience else {
            return if self.audience.is_empty() { Ok(()) } else { Err(Refusal::NoAudience) };
        };
        let mine = |one: &str| self.audience.iter().any(|audience| **audience == *one);
        let good = match audience {
            Value::String(one) => mine(one),
            Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_string) => {
                all.iter().filter_map(Value::as_str).any(mine)
            }
            _ => return Err(Refusal::BadAudience),
        };
        match good {
            true => Ok(()),
            false if self.audience.is_empty() => Err(Refusal::AudienceNotConfigured),
            false => Err(Refusal::Audience),
        }
    }

    /// Returns from when on the token must not be relied on.
    fn judge_dates(&self, claims: &Map<String, Value>, now: Date) -> Result<SystemTime, Refusal> {
        let date = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => Date::read(value).map(Some).ok_or(Refusal::Date),
        };
        let (expiry, not_before, issued) = (date("exp")?, date("nbf")?, date("iat")?);
        // RFC 7519 §4.1.4: on or after it the token must not be accepted.
        let expires = expiry.ok_or(Refusal::NoExpiry)?.after(self.leeway);
        let latest = now.after(self.leeway);
        if not_before.is_some_and(|date| latest < date) {
            return Err(Refusal::NotBefore);
        }
        // The RFC does not ask for it; but what was issued later than now was issued by a clock
        // that is wrong, or by somebody who makes tokens up.
        if issued.is_some_and(|date| latest < date) {
            return Err(Refusal::IssuedLater);
        }
        if now >= expires {
            return Err(Refusal::Expired);
        }
        Ok(expires.moment())
    }
}

/// RFC 7800 §3.1 lets what is not understood be ignored. A token that is bound to something would
/// then pass as one that is not, so here it is refused.
pub fn confirmation(cnf: &Value) -> Result<Confirmation, Refusal> {
    let methods = cnf.as_object().filter(|methods| methods.len() == 1);
    let digest = methods.and_then(|methods| methods.get("x5t#S256")).and_then(Value::as_str);
    let digest = digest.and_then(base64url::decode).and_then(|digest| digest.try_into().ok());
    digest.map(Confirmation::Certificate).ok_or(Refusal::Confirmation)
}

/// Claims may be personal, so they are counted and not told.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("all", &self.all.len())
            .field("expires", &self.expires)
            .field("confirmation", &self.confirmation.is_some())
            .finish()
    }
}
