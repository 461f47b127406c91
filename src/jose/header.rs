//! What a token's header says (RFC 7515 §4), as far as anybody here may believe it: which algorithm
//! and which key it asks for. A key, or an address of one, that the token brings with it (`jwk`,
//! `x5c`, `jku`, `x5u`) proves nothing, and is not looked at.

use super::{Algorithm, Refusal, json};
use serde_json::{Map, Value};

/// The header of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm that it claims to be signed with.
    pub algorithm: Algorithm,
    /// Which key it claims to be signed with.
    pub kid: Option<Box<str>>,
    /// What it is for.
    pub typ: Option<Box<str>>,
}

impl Header {
    /// Reads a header that was decoded from base64url.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut header = json::object(bytes).map_err(|_| Refusal::Header)?;
        let algorithm = algorithm(&header)?;
        if let Some(list) = header.get("crit") {
            return Err(critical(list, &header));
        }
        // RFC 7797 §3: `true` is what holds without it.
        if header.get("b64").is_some_and(|encoded| *encoded != Value::Bool(true)) {
            return Err(Refusal::Unencoded);
        }
        // RFC 7516 §9: it is what tells an encrypted object from a signed one.
        if header.contains_key("enc") {
            return Err(Refusal::Encrypted);
        }
        let typ = text(&mut header, "typ")?;
        let kid = text(&mut header, "kid")?;
        text(&mut header, "cty")?;
        Ok(Header { algorithm, kid, typ })
    }

    /// Whether the type is what is asked for, or, where nothing is, a type that access tokens have
    /// (RFC 8725 §3.11: a token with a type of its own is for a purpose of its own).
    pub fn is_of(&self, wanted: Option<&str>) -> bool {
        let typ = self.typ.as_deref().map(bare);
        match (typ, wanted) {
            (Some(typ), Some(wanted)) => typ.eq_ignore_ascii_case(bare(wanted)),
            (None, Some(_)) => false,
            (Some(typ), None) => ["JWT", "at+jwt"].iter().any(|one| typ.eq_ignore_ascii_case(one)),
            (None, None) => true,
        }
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, Refusal> {
    let name = match header.get("alg") {
        Some(Value::String(name)) => name.as_str(),
        Some(_) => return Err(Refusal::HeaderParameter),
        None => return Err(Refusal::NoAlgorithm),
    };
    match Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name) {
        Some(algorithm) => Ok(algorithm),
        None if name.trim().eq_ignore_ascii_case("none") => Err(Refusal::Unsigned),
        None => Err(Refusal::UnknownAlgorithm),
    }
}

/// Why a `crit` is refused: always, since no extension is understood here. RFC 7515 §4.1.11 wants
/// it to be a list that is not empty, of names that differ and that the header has.
fn critical(list: &Value, header: &Map<String, Value>) -> Refusal {
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
        return Refusal::BadCritical;
    };
    let good = list.iter().enumerate().all(|(place, name)| {
        let there = name.as_str().is_some_and(|name| header.contains_key(name));
        there && !list[..place].contains(name)
    });
    if good { Refusal::Critical } else { Refusal::BadCritical }
}

fn text(header: &mut Map<String, Value>, name: &str) -> Result<Option<Box<str>>, Refusal> {
    match header.remove(name) {
        Some(Value::String(text)) => Ok(Some(text.into())),
        Some(_) => Err(Refusal::HeaderParameter),
        None => Ok(None),
    }
}

/// A type without the `application/` that RFC 7515 §4.1.9 lets senders leave out.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Header, Refusal> {
        Header::read(text.as_bytes())
    }

    #[test]
    fn a_header_says_algorithm_key_and_type_and_the_rest_is_ignored() {
        let header = read(
            r#"{"alg":"ES256","kid":"k","typ":"at+jwt","cty":"x","b64":true,"jku":7,"jwk":{},
                "x5c":[],"x5u":null,"x5t":"x","foo":[1]}"#,
        );
        let (kid, typ) = (Some("k".into()), Some("at+jwt".into()));
        assert_eq!(header, Ok(Header { algorithm: Algorithm::ES256, kid, typ }));
    }

    #[test]
    fn a_header_that_is_wrong_is_refused_with_its_reason() {
        for (text, refusal) in [
            ("{}", Refusal::NoAlgorithm),
            ("[]", Refusal::Header),
            (r#"{"alg":"ES256","alg":"ES256"}"#, Refusal::Header),
            (r#"{"alg":null}"#, Refusal::HeaderParameter),
            (r#"{"alg":["ES256"]}"#, Refusal::HeaderParameter),
            (r#"{"alg":"none"}"#, Refusal::Unsigned),
            (r#"{"alg":"nOnE"}"#, Refusal::Unsigned),
            (r#"{"alg":" none "}"#, Refusal::Unsigned),
            (r#"{"alg":""}"#, Refusal::UnknownAlgorithm),
            (r#"{"alg":"es256"}"#, Refusal::UnknownAlgorithm),
            (r#"{"alg":"RSA-OAEP"}"#, Refusal::UnknownAlgorithm),
            (r#"{"alg":"ES256","kid":1}"#, Refusal::HeaderParameter),
            (r#"{"alg":"ES256","typ":null}"#, Refusal::HeaderParameter),
            (r#"{"alg":"ES256","cty":{}}"#, Refusal::HeaderParameter),
            (r#"{"alg":"ES256","b64":false}"#, Refusal::Unencoded),
            (r#"{"alg":"ES256","b64":"true"}"#, Refusal::Unencoded),
            (r#"{"alg":"ES256","enc":"A128GCM"}"#, Refusal::Encrypted),
            (r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#, Refusal::Critical),
            (r#"{"alg":"ES256","crit":["alg"]}"#, Refusal::Critical),
            (r#"{"alg":"ES256","crit":[]}"#, Refusal::BadCritical),
            (r#"{"alg":"ES256","crit":null}"#, Refusal::BadCritical),
            (r#"{"alg":"ES256","crit":"exp"}"#, Refusal::BadCritical),
            (r#"{"alg":"ES256","crit":[1]}"#, Refusal::BadCritical),
            (r#"{"alg":"ES256","crit":["exp"]}"#, Refusal::BadCritical),
            (r#"{"alg":"ES256","x":1,"crit":["x","x"]}"#, Refusal::BadCritical),
        ] {
            assert_eq!(read(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn a_type_is_compared_without_case_and_without_its_prefix() {
        let of = |typ: Option<&str>, wanted| {
            let typ = typ.map(Into::into);
            Header { algorithm: Algorithm::ES256, kid: None, typ }.is_of(wanted)
        };
        for typ in [None, Some("JWT"), Some("jwt"), Some("at+JWT"), Some("Application/At+jwt")] {
            assert!(of(typ, None), "{typ:?}");
        }
        for typ in ["", "JOSE", "dpop+jwt", "secevent+jwt", "application/", "JWT ", "text/jwt"] {
            assert!(!of(Some(typ), None), "{typ:?}");
        }
        assert!(of(Some("application/at+jwt"), Some("AT+JWT")));
        assert!(of(Some("at+jwt"), Some("application/at+jwt")));
        assert!(!of(Some("JWT"), Some("at+jwt")));
        assert!(!of(None, Some("at+jwt")));
    }
}
