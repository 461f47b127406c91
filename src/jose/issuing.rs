//! What a token says that the gateway issues (RFC 7519 §4.1): the claims that make it one, and
//! those of whoever asked for it.

use crate::value::Invalid;
use aws_lc_rs::rand;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// The claims that say whose token it is and how long it is good, which only the gateway may say.
const RESERVED: [&str; 3] = ["iss", "exp", "iat"];

/// What all tokens of one kind have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuing {
    /// Who issues them: `iss`.
    pub issuer: Box<str>,
    /// Whom they are for: `aud`, which is left out where it is empty. One is text, several are a
    /// list (RFC 7519 §4.1.3).
    pub audience: Vec<Box<str>>,
    /// How long one is good, from when it was issued. Parts of a second are left out.
    pub lifetime: Duration,
}

impl Issuing {
    /// Makes the claims of one token: `iss`, `iat`, `exp`, `jti`, `aud`, and further ones.
    ///
    /// Of the further ones, `iss`, `iat` and `exp` do not count (see [`check_claim_name`]); a `jti`
    /// or an `aud` does, instead of what would stand there. `id` is what `jti` is made of, and comes
    /// from [`random_id`].
    pub fn claims(
        &self,
        further: Map<String, Value>,
        now: SystemTime,
        id: [u8; 16],
    ) -> Map<String, Value> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut claims = further;
        claims.insert("iss".into(), (*self.issuer).into());
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), now.as_secs().saturating_add(self.lifetime.as_secs()).into());
        claims.entry("jti").or_insert_with(|| token_id(id).into());
        match &*self.audience {
            [] => {}
            [one] => drop(claims.entry("aud").or_insert_with(|| (**one).into())),
            several => {
                let several = || several.iter().map(|one| Value::from(&**one)).collect();
                claims.entry("aud").or_insert_with(several);
            }
        }
        claims
    }
}

/// Writes an id of a token: a UUID of random bits (RFC 9562 §5.4), which nobody guesses and no two
/// tokens share.
fn token_id(random: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// Draws 128 bits for the id of a token. `None` where the system has none to give.
pub fn random_id() -> Option<[u8; 16]> {
    let mut id = [0; 16];
    rand::fill(&mut id).ok()?;
    Some(id)
}

/// Refuses a name under which a configured claim would say what only the gateway may say.
///
/// # Errors
///
/// Names the claims that are reserved.
pub fn check_claim_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::new("the name of a claim is missing"));
    }
    if !RESERVED.contains(&name) {
        return Ok(());
    }
    let setting = match name {
        "iss" => "`issuer` says who issued it",
        "exp" => "`ttl` says how long it is good",
        _ => "it is when the token was made",
    };
    let reserved = RESERVED.map(|name| format!("`{name}`")).join(", ");
    Err(Invalid::new(format!(
        "the claim `{name}` is the gateway's own, {setting}; {reserved} cannot be set"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issuing(audience: &[&str]) -> Issuing {
        Issuing {
            issuer: "https://id.example.com".into(),
            audience: audience.iter().map(|one| (*one).into()).collect(),
            lifetime: Duration::from_secs(3600),
        }
    }

    fn claims(issuing: &Issuing, further: Value) -> Value {
        let Value::Object(further) = further else { unreachable!("the tests write objects") };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        issuing.claims(further, now, [0xff; 16]).into()
    }

    #[test]
    fn a_token_says_who_issued_it_when_and_for_how_long() {
        assert_eq!(
            claims(&issuing(&[]), json!({"sub": "ann", "roles": ["a"]})),
            json!({
                "iss": "https://id.example.com",
                "iat": 1_700_000_000,
                "exp": 1_700_003_600,
                "jti": "ffffffff-ffff-4fff-bfff-ffffffffffff",
                "sub": "ann",
                "roles": ["a"],
            })
        );
    }

    #[test]
    fn one_audience_is_text_and_several_are_a_list() {
        assert_eq!(claims(&issuing(&["api"]), json!({}))["aud"], json!("api"));
        assert_eq!(claims(&issuing(&["api", "web"]), json!({}))["aud"], json!(["api", "web"]));
    }

    #[test]
    fn what_only_the_gateway_may_say_is_not_overridden() {
        let theirs = json!({"iss": "x", "exp": 1, "iat": 1, "jti": "one", "aud": "own"});
        let claims = claims(&issuing(&["api"]), theirs);
        assert_eq!(claims["iss"], "https://id.example.com");
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&json!(1_700_000_000), &json!(1_700_003_600))
        );
        assert_eq!((&claims["jti"], &claims["aud"]), (&json!("one"), &json!("own")));
    }

    #[test]
    fn a_reserved_claim_is_told_what_says_it() {
        let refusal = |name: &str| check_claim_name(name).unwrap_err().message;
        assert!(refusal("iss").contains("`issuer` says who"));
        assert!(refusal("exp").contains("`ttl` says how long"));
        assert!(refusal("iat").contains("`iss`, `exp`, `iat` cannot be set"));
        assert!(refusal("").contains("missing"));
        for name in ["sub", "jti", "aud", "nbf", "EXP", "https://example.com/exp"] {
            assert_eq!(check_claim_name(name), Ok(()));
        }
    }

    #[test]
    fn no_two_ids_are_the_same() {
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
