//! What an issuer says of a token (RFC 7662 §2.2), and whether that is enough: pure.

use crate::exchange::Identity;
use crate::issuer::Failure;
use crate::jose::json_object;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A token that is good, and what is said of it.
pub struct Active {
    /// The members of the answer.
    pub claims: Arc<Map<String, Value>>,
    /// Whoever has it, once that was made of the claims: whoever asks has one way to do that.
    pub identity: OnceLock<Arc<Identity>>,
    /// From when on the token must not be accepted (`exp`).
    pub expires: Option<SystemTime>,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The issuer says so: it is unknown, expired, revoked, or for somebody else.
    Inactive,
    /// Its `exp` is past.
    Expired,
    /// Its `nbf` is yet to come.
    Early,
    /// Its `iss` is another issuer.
    Issuer,
    /// Its `aud` names none of those that are wanted.
    Audience,
}

/// What an issuer says of a token.
pub type Verdict = Result<Arc<Active>, Refused>;

/// What a good token must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its issuer, if it names one.
    pub issuer: Option<Arc<str>>,
    /// One of these must be among its `aud`; anything may be, and nothing need, where there are
    /// none.
    pub audience: Vec<Box<str>>,
}

/// Claims may be personal, so they are counted and not told.
impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active")
            .field("claims", &self.claims.len())
            .field("expires", &self.expires)
            .finish()
    }
}

/// A verdict, and for how long it holds at most.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) holds: Option<Duration>,
}

/// Judges an answer at `now`. What is no answer is a failure, and never a verdict.
pub(super) fn judge(body: &[u8], wanted: &Wanted, now: SystemTime) -> Result<Judged, Failure> {
    let claims = json_object(body).map_err(|error| {
        // The text of an error may repeat what was read, which is of the token's owner.
        Failure::malformed(format!("no JSON object at column {}", error.column()))
    })?;
    let refused = |why, holds| Ok(Judged { verdict: Err(why), holds });
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return refused(Refused::Inactive, None),
        _ => return Err(Failure::malformed("`active` is neither true nor false")),
    }
    let expires = moment(&claims, "exp")?;
    // On that very second a token has expired (RFC 7519 §4.1.4).
    if expires.is_some_and(|expires| expires <= now) {
        return refused(Refused::Expired, None);
    }
    if let Some(early) = moment(&claims, "nbf")?.and_then(|from| from.duration_since(now).ok())
        && !early.is_zero()
    {
        return refused(Refused::Early, Some(early));
    }
    if let (Some(issuer), Some(told)) = (&wanted.issuer, claims.get("iss"))
        && told.as_str() != Some(issuer)
    {
        return refused(Refused::Issuer, None);
    }
    if !wanted.audience.is_empty() && !is_for(claims.get("aud"), &wanted.audience) {
        return refused(Refused::Audience, None);
    }
    let holds = expires.map(|expires| expires.duration_since(now).unwrap_or_default());
    let active = Active { claims: Arc::new(claims), identity: OnceLock::new(), expires };
    Ok(Judged { verdict: Ok(Arc::new(active)), holds })
}

/// Whether `aud`, a string or an array of strings (RFC 7519 §4.1.3), names one of these.
fn is_for(aud: Option<&Value>, audience: &[Box<str>]) -> bool {
    let is_one = |told: &str| audience.iter().any(|wanted| **wanted == *told);
    match aud {
        Some(Value::String(told)) => is_one(told),
        Some(Value::Array(list)) => {
            list.iter().all(Value::is_string) && list.iter().filter_map(Value::as_str).any(is_one)
        }
        _ => false,
    }
}

/// A time in seconds since 1970, whole or not (RFC 7519 §2). What lies beyond what a clock can show
/// is as late, or as early, as can be.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Failure> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|_| value.is_number());
    let seconds = seconds.ok_or_else(|| Failure::malformed(format!("`{name}` is no time")))?;
    /// The year 9999, beyond which nobody's clock will go.
    const LATEST: f64 = 253_402_300_799.0;
    let seconds = seconds.clamp(0.0, LATEST);
    Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn judged(body: &str) -> Result<Result<(), Refused>, String> {
        let wanted = Wanted {
            issuer: Some("https://id.test".into()),
            audience: vec!["api".into(), "web".into()],
        };
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let judged = judge(body.as_bytes(), &wanted, now).map_err(|failure| failure.to_string())?;
        Ok(judged.verdict.map(drop))
    }

    fn with(members: &str) -> Result<Result<(), Refused>, String> {
        judged(&format!(r#"{{"active":true,"aud":"api"{members}}}"#))
    }

    #[test]
    fn active_is_a_truth_value_and_nothing_else() {
        assert_eq!(with(""), Ok(Ok(())));
        assert_eq!(judged(r#"{"active":false}"#), Ok(Err(Refused::Inactive)));
        for body in [
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"Active":true}"#,
            "{}",
            "[]",
            "true",
            "",
            "<html>",
            r#"{"active":false,"active":true,"aud":"api"}"#,
            r#"{"active":true,"aud":"api"} x"#,
        ] {
            assert!(judged(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_token_holds_from_nbf_up_to_but_not_at_exp() {
        assert_eq!(with(&format!(r#","exp":{}"#, NOW + 1)), Ok(Ok(())));
        assert_eq!(with(&format!(r#","exp":{NOW}.5"#)), Ok(Ok(())));
        assert_eq!(with(&format!(r#","exp":{NOW}"#)), Ok(Err(Refused::Expired)));
        assert_eq!(with(r#","exp":-1"#), Ok(Err(Refused::Expired)));
        assert_eq!(with(r#","exp":1e300"#), Ok(Ok(())));
        assert_eq!(with(&format!(r#","nbf":{NOW}"#)), Ok(Ok(())));
        assert_eq!(with(&format!(r#","nbf":{}"#, NOW + 1)), Ok(Err(Refused::Early)));
        for time in [r#","exp":"1900000000""#, r#","exp":null"#, r#","nbf":true"#] {
            assert!(with(time).is_err(), "{time}");
        }
    }

    #[test]
    fn another_issuers_token_is_refused() {
        assert_eq!(with(r#","iss":"https://id.test""#), Ok(Ok(())));
        for iss in [r#""https://id.test/""#, r#""""#, "null", r#"["https://id.test"]"#] {
            assert_eq!(with(&format!(r#","iss":{iss}"#)), Ok(Err(Refused::Issuer)), "{iss}");
        }
    }

    #[test]
    fn a_token_for_somebody_else_is_refused() {
        let aud = |aud: &str| judged(&format!(r#"{{"active":true{aud}}}"#));
        assert_eq!(aud(r#","aud":["other","web"]"#), Ok(Ok(())));
        for none in
            ["", r#","aud":"other""#, r#","aud":[]"#, r#","aud":["api",1]"#, r#","aud":"API""#]
        {
            assert_eq!(aud(none), Ok(Err(Refused::Audience)), "{none}");
        }
    }
}
