//! Tokens of every kind with the verdict that each deserves: good ones, forged ones, malformed
//! ones, and those on the border between.
//!
//! The verdicts are of a gateway that trusts [`ISSUER`] and one algorithm, for the audience
//! [`AUDIENCE`], with the leeway of [`LEEWAY`] seconds, and asks for no `typ`. It knows the keys by
//! [`key_set`]; where it knows one key alone, what stands in [`Case::by_kid`] is left out.

mod claims;
mod good;
mod header;
mod judged;
mod shape;
mod signature;
mod text;

use crate::support::{Key, Keys, forge};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// Who issues the tokens.
pub const ISSUER: &str = "https://id.example.com";
/// Whom the tokens are for.
pub const AUDIENCE: &str = "api";
/// How many seconds the clocks may differ.
pub const LEEWAY: u64 = 5;

/// One token and what is to be said of it.
pub struct Case {
    /// The one algorithm that the gateway accepts.
    pub algorithm: Algorithm,
    /// What the token is.
    pub name: String,
    /// The token.
    pub token: String,
    /// Whether it is accepted.
    pub accepted: bool,
    /// Whether the verdict follows from its `kid`, which counts where keys have names.
    pub by_kid: bool,
    /// Whether the verdict holds only in the second in which the token was made. Whoever can tell
    /// the time to what it tests can test these too.
    pub at_once: bool,
    /// Whether `Authorization: Bearer TOKEN` is accepted, where HTTP has a say in it; `None` where
    /// the field cannot carry the token.
    pub as_bearer: Option<bool>,
}

/// All cases, of tokens that were made at this time.
pub fn verdicts(now: u64) -> Vec<Case> {
    Algorithm::ALL.into_iter().flat_map(|algorithm| verdicts_of(algorithm, now)).collect()
}

/// The cases for a gateway that accepts this algorithm.
pub fn verdicts_of(algorithm: Algorithm, now: u64) -> Vec<Case> {
    let mut bench = Bench { algorithm, now, cases: Vec::new() };
    good::cases(&mut bench);
    shape::cases(&mut bench);
    text::cases(&mut bench);
    header::cases(&mut bench);
    claims::cases(&mut bench);
    signature::cases(&mut bench);
    bench.cases
}

/// The key set of the issuer for an algorithm: the key `main`, and the key `spare` beside it.
pub fn key_set(algorithm: Algorithm) -> Value {
    let keys = [(Keys::ours(), "main"), (Keys::spare(), "spare")];
    json!({"keys": keys.map(|(keys, kid)| keys.of(algorithm).jwk(kid))})
}

/// What a field `Authorization: Bearer TOKEN` carries: blanks at its end are no part of its value
/// (RFC 9110 §5.5), and a scheme may have several spaces after it (RFC 9110 §11.4).
fn in_a_field(token: &str) -> &str {
    token.trim_start_matches(' ').trim_end_matches([' ', '\t'])
}

/// Where the tokens for one algorithm are made.
struct Bench {
    algorithm: Algorithm,
    now: u64,
    cases: Vec<Case>,
}

impl Bench {
    /// The algorithm's name.
    fn name(&self) -> &'static str {
        self.algorithm.name()
    }

    /// The key that the gateway trusts.
    fn key(&self) -> &'static Key {
        Keys::ours().of(self.algorithm)
    }

    /// An ordinary header, with these members changed or added. Values are JSON texts; an empty one
    /// takes its member out.
    fn header(&self, changes: &[(&str, &str)]) -> String {
        let name = format!("\"{}\"", self.name());
        object(&[("alg", &name), ("typ", "\"JWT\""), ("kid", "\"main\"")], changes)
    }

    /// Ordinary claims, changed in the same way.
    fn claims(&self, changes: &[(&str, &str)]) -> String {
        let (issuer, audience) = (format!("\"{ISSUER}\""), format!("\"{AUDIENCE}\""));
        let (past, future) = ((self.now - 60).to_string(), (self.now + 600).to_string());
        let ordinary = [
            ("iss", issuer.as_str()),
            ("aud", &audience),
            ("sub", "\"alice\""),
            ("iat", &past),
            ("nbf", &past),
            ("exp", &future),
        ];
        object(&ordinary, changes)
    }

    /// A token of these texts, signed as the gateway wants it.
    fn token(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        forge(header, claims, self.name(), self.key())
    }

    /// A good token.
    fn good(&self) -> String {
        self.token(self.header(&[]), self.claims(&[]))
    }

    fn add(&mut self, name: impl Into<String>, token: String, accepted: bool) -> &mut Case {
        let (algorithm, name) = (self.algorithm, name.into());
        let fits = !token.contains(['\0', '\r', '\n']);
        let as_bearer = fits.then_some(accepted);
        let (by_kid, at_once) = (false, false);
        self.cases.push(Case { algorithm, name, token, accepted, by_kid, at_once, as_bearer });
        self.cases.last_mut().expect("one was just put there")
    }

    /// A token that is accepted.
    fn takes(&mut self, name: impl Into<String>, token: String) -> &mut Case {
        self.add(name, token, true)
    }

    /// A token that is refused.
    fn refuses(&mut self, name: impl Into<String>, token: String) -> &mut Case {
        self.add(name, token, false)
    }

    /// Changes of the header after which a token is refused, although it is well signed.
    fn refuses_headers(&mut self, name: &str, changes: &[(&str, &str)]) -> &mut Case {
        let token = self.token(self.header(changes), self.claims(&[]));
        self.refuses(format!("{name}: {changes:?}"), token)
    }

    /// Changes of the claims after which a token is refused, although it is well signed.
    fn refuses_claims(&mut self, name: &str, changes: &[(&str, &str)]) -> &mut Case {
        let token = self.token(self.header(&[]), self.claims(changes));
        self.refuses(format!("{name}: {changes:?}"), token)
    }
}

/// The text of an object with these members, after changes.
fn object(ordinary: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let changed = |name: &str| changes.iter().find(|(other, _)| *other == name);
    let kept = ordinary.iter().map(|member| changed(member.0).unwrap_or(member));
    let is_new = |name: &str| ordinary.iter().all(|(other, _)| *other != name);
    let members: Vec<String> = kept
        .chain(changes.iter().filter(|(name, _)| is_new(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::now;
    use jsonwebtoken::{DecodingKey, Validation, crypto, decode};
    use std::collections::HashSet;

    #[test]
    fn each_algorithm_has_more_than_a_thousand_cases_with_names_of_their_own() {
        let now = now();
        for algorithm in Algorithm::ALL {
            let cases = verdicts_of(algorithm, now);
            let mut names = HashSet::new();
            let repeated = cases.iter().map(|case| &case.name).find(|name| !names.insert(*name));
            assert_eq!(repeated, None, "{algorithm}");
            let good = cases.iter().filter(|case| case.accepted).count();
            assert!(good > 70 && cases.len() > 1_000, "{algorithm}: {good} of {}", cases.len());
            let carried = cases.iter().filter(|case| case.as_bearer.is_some()).count();
            assert!(carried > 1_000, "{algorithm}: a field can carry {carried}");
        }
    }

    /// What the library that the gateway builds on makes of a token, with its keys in turn.
    fn library_accepts(case: &Case) -> bool {
        library_accepts_text(case, &case.token)
    }

    fn library_accepts_text(case: &Case, token: &str) -> bool {
        let mut validation = Validation::new(case.algorithm.name().parse().unwrap());
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        [Keys::ours(), Keys::spare()].into_iter().any(|keys| {
            let jwk = serde_json::from_value(keys.of(case.algorithm).jwk("main")).unwrap();
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            decode::<Value>(token, &key, &validation).is_ok()
        })
    }

    #[test]
    fn every_good_token_is_good_to_a_library_as_well() {
        for case in verdicts(now()).iter().filter(|case| case.accepted && !case.at_once) {
            assert!(library_accepts(case), "{}: {}\n{}", case.algorithm, case.name, case.token);
        }
    }

    #[test]
    fn no_token_with_a_bad_signature_is_good_to_a_library() {
        let now = now();
        for algorithm in Algorithm::ALL {
            let mut bench = Bench { algorithm, now, cases: Vec::new() };
            signature::cases(&mut bench);
            for case in bench.cases.iter().filter(|case| !case.accepted && !case.by_kid) {
                assert!(!library_accepts(case), "{algorithm}: {}\n{}", case.name, case.token);
            }
        }
    }

    #[test]
    fn what_is_wrong_in_a_text_is_not_its_signature() {
        let now = now();
        for algorithm in Algorithm::ALL {
            let mut bench = Bench { algorithm, now, cases: Vec::new() };
            text::cases(&mut bench);
            claims::cases(&mut bench);
            let jwk = serde_json::from_value(Keys::ours().of(algorithm).jwk("main")).unwrap();
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            let known = algorithm.name().parse().unwrap();
            for case in &bench.cases {
                let (input, signature) = case.token.rsplit_once('.').unwrap();
                let good = crypto::verify(signature, input.as_bytes(), &key, known);
                assert!(good.unwrap(), "{algorithm}: {}", case.name);
            }
        }
    }

    #[test]
    fn what_a_field_leaves_of_a_token_has_the_verdict_that_is_told() {
        for case in verdicts_of(Algorithm::EdDSA, now()) {
            let left = in_a_field(&case.token);
            if case.as_bearer.is_some() && left != case.token {
                let accepted = library_accepts_text(&case, left);
                assert_eq!(case.as_bearer, Some(accepted), "{}", case.name);
            }
        }
    }
}
