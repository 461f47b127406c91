//! What a client that showed nothing good is told to show (RFC 9110 §11.6.1).

use super::found::Refused;
use crate::exchange::Unproven;
use crate::telemetry::metrics::Way;
use crate::value::Invalid;
use http::HeaderValue;
use std::sync::Arc;

/// The values of `WWW-Authenticate`, made once for each thing that can be wrong.
#[derive(Debug)]
pub struct Challenges {
    missing: Arc<[HeaderValue]>,
    expired: Arc<[HeaderValue]>,
    invalid: Arc<[HeaderValue]>,
    ambiguous: Arc<[HeaderValue]>,
}

impl Challenges {
    /// The challenges of a route whose clients may show credentials in these ways. `realm` is what
    /// they are good for; `basic` is the realm of users and passwords.
    ///
    /// # Errors
    ///
    /// Refuses a realm that is no quoted string (RFC 9110 §5.6.4).
    pub fn new(ways: &[Way], realm: &str, basic: Option<&str>) -> Result<Self, Invalid> {
        let bearer = format!("Bearer realm={}", quoted(realm)?);
        let takes = |way: &Way| matches!(way, Way::Jwt | Way::Introspection);
        let takes_tokens = ways.iter().any(takes);
        let mut others = Vec::new();
        if let Some(basic) = basic {
            // RFC 7617 §2.1: the one charset that it allows.
            others.push(value(format!("Basic realm={}, charset=\"UTF-8\"", quoted(basic)?))?);
        }
        // None of these has a registered scheme, and a 401 must name one.
        let unregistered = [
            (Way::ApiKey, "ApiKey"),
            (Way::Mtls, "ClientCertificate"),
            (Way::Session, "Cookie"),
            (Way::ForwardAuth, "Bearer"),
        ];
        for (way, scheme) in unregistered.iter().filter(|(way, _)| ways.contains(way)) {
            if !(takes_tokens && *way == Way::ForwardAuth) {
                others.push(value(format!("{scheme} realm={}", quoted(realm)?))?);
            }
        }
        let with = |attributes: &str| -> Result<Arc<[HeaderValue]>, Invalid> {
            let bearer =
                takes_tokens.then(|| value(format!("{bearer}{attributes}"))).transpose()?;
            Ok(bearer.into_iter().chain(others.iter().cloned()).collect())
        };
        Ok(Challenges {
            // RFC 6750 §3.1: who showed nothing is told nothing of an error.
            missing: with("")?,
            expired: with(
                ", error=\"invalid_token\", error_description=\"the token has expired\"",
            )?,
            invalid: with(
                ", error=\"invalid_token\", error_description=\"the token is not valid\"",
            )?,
            ambiguous: with(
                ", error=\"invalid_request\", error_description=\"more than one credential\"",
            )?,
        })
    }

    /// What a client is told whose credential proves nothing.
    pub fn of(&self, refused: &Refused) -> Arc<[HeaderValue]> {
        let is_token = matches!(refused.way, Some(Way::Jwt | Way::Introspection));
        Arc::clone(match refused.why {
            Unproven::Missing => &self.missing,
            Unproven::Ambiguous => &self.ambiguous,
            // Only of tokens is there more to say.
            _ if !is_token => &self.missing,
            Unproven::Expired => &self.expired,
            Unproven::Invalid => &self.invalid,
        })
    }
}

fn quoted(text: &str) -> Result<String, Invalid> {
    let is_plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\');
    match text.chars().all(is_plain) && !text.is_empty() {
        true => Ok(format!("\"{text}\"")),
        false => Err(Invalid::new("a realm is of visible ASCII without quotes and backslashes")),
    }
}

fn value(text: String) -> Result<HeaderValue, Invalid> {
    HeaderValue::try_from(text).map_err(|_| Invalid::new("this is not a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ways: &[Way], basic: Option<&str>, way: Option<Way>, why: Unproven) -> Vec<String> {
        let challenges = Challenges::new(ways, "shop", basic).unwrap();
        let refused = Refused { way, why, reason: "".into(), claimed: None };
        let lines = challenges.of(&refused);
        lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn who_showed_nothing_is_told_of_every_way_and_of_no_error() {
        let ways = [Way::Jwt, Way::Basic, Way::ApiKey, Way::Session, Way::ForwardAuth];
        let told = told(&ways, Some("staff"), None, Unproven::Missing);
        let expected = [
            "Bearer realm=\"shop\"",
            "Basic realm=\"staff\", charset=\"UTF-8\"",
            "ApiKey realm=\"shop\"",
            "Cookie realm=\"shop\"",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_of_tokens_alone() {
        let ways = [Way::Jwt, Way::Session];
        let token = told(&ways, None, Some(Way::Jwt), Unproven::Expired);
        assert!(token[0].contains("error=\"invalid_token\""), "{token:?}");
        assert!(token[0].contains("expired"), "{token:?}");
        let session = told(&ways, None, Some(Way::Session), Unproven::Expired);
        assert_eq!(session, ["Bearer realm=\"shop\"", "Cookie realm=\"shop\""]);
        let several = told(&ways, None, None, Unproven::Ambiguous);
        assert!(several[0].contains("error=\"invalid_request\""), "{several:?}");
        // A 401 names a scheme, whatever the way is (RFC 9110 §15.5.2).
        let forwarded = told(&[Way::ForwardAuth], None, None, Unproven::Missing);
        assert_eq!(forwarded, ["Bearer realm=\"shop\""]);
    }

    #[test]
    fn a_realm_that_would_end_its_quotes_is_refused() {
        for realm in ["", "a\"b", "a\\b", "a\nb", "é"] {
            assert!(Challenges::new(&[Way::Jwt], realm, None).is_err(), "{realm}");
        }
    }
}
