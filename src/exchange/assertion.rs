//! A signed token that tells services who is asking: a service that gets it need not trust the network
//! between, since it can check who signed it.
//!
//! It says the same for all requests of an identity, so that it is signed once for many of them.

use super::Identity;
use crate::jose::{Algorithm, Issuing, Signer, check_claim_name, random_id};
use crate::lock::lock;
use crate::value::{Invalid, Reference, Secret, Source, Template, outside};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// What signs such tokens.
#[derive(Debug)]
pub struct Assertion {
    /// The field that carries them.
    pub header: HeaderName,
    /// The keys: the first signs, the others are still published.
    pub signers: Vec<Signer>,
    /// What all of them say.
    pub issuing: Issuing,
    /// What else they say of an identity.
    claims: Vec<(String, Template)>,
}

/// The token of one identity, and from when on it is signed anew.
#[derive(Default)]
pub struct Asserted(Mutex<Option<(SystemTime, HeaderValue)>>);

impl Assertion {
    /// Makes tokens that say these claims beside `sub`, `roles`, `scope`, `consumer` and `tier`.
    ///
    /// # Errors
    ///
    /// Refuses claims that the gateway sets itself, and those that differ from one request of an
    /// identity to the next.
    pub fn new(
        header: HeaderName,
        signers: Vec<Signer>,
        issuing: Issuing,
        claims: Vec<(String, Template)>,
    ) -> Result<Self, Invalid> {
        for (name, template) in &claims {
            check_claim_name(name).map_err(|invalid| invalid.under(name.as_str()))?;
            let other = template.references().find(|reference| {
                !matches!(reference, Reference::Identity(_) | Reference::Consumer(_))
            });
            if let Some(other) = other {
                let message = format!(
                    "`$({other})` is a request's own, and the token is of all requests of an \
                     identity: refer to `identity.` and `consumer.`"
                );
                return Err(Invalid::new(message).under(name.as_str()));
            }
        }
        Ok(Assertion { header, signers, issuing, claims })
    }

    /// The value of the field for an identity; none where it cannot be signed.
    pub fn value(&self, identity: &Identity, now: SystemTime) -> Option<HeaderValue> {
        // Nearly always the worker's own: an identity that was found out by one worker stays there.
        let mut asserted = lock(&identity.asserted.0);
        if let Some((until, value)) = &*asserted
            && now < *until
        {
            return Some(value.clone());
        }
        let token = self.sign(identity, now)?;
        let value = match self.header == AUTHORIZATION {
            true => format!("Bearer {token}"),
            false => token,
        };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        // Half of its life is left for the service, whatever it does with it first. That life is of
        // whole seconds, and began with the one that now is.
        let begun = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let half = Duration::from_secs(self.issuing.lifetime.as_secs()) / 2;
        let left = half.saturating_sub(Duration::from_nanos(begun.into()));
        let until = now.checked_add(left).unwrap_or(now);
        *asserted = Some((until, value.clone()));
        Some(value)
    }

    fn sign(&self, identity: &Identity, now: SystemTime) -> Option<String> {
        let mut claims = Map::new();
        let words = |words: &[Box<str>]| Value::from_iter(words.iter().map(|word| &**word));
        if let Some(subject) = identity.subject() {
            claims.insert("sub".to_owned(), subject.into());
        }
        if !identity.roles.is_empty() {
            claims.insert("roles".to_owned(), words(&identity.roles));
        }
        if !identity.scopes.is_empty() {
            claims.insert("scope".to_owned(), identity.scopes.join(" ").into());
        }
        if let Some(consumer) = &identity.consumer {
            claims.insert("consumer".to_owned(), (*consumer.name).into());
            let tier = consumer.tier.as_deref();
            tier.into_iter().for_each(|tier| drop(claims.insert("tier".to_owned(), tier.into())));
        }
        for (name, template) in &self.claims {
            match claim(template, identity) {
                Some(value) => drop(claims.insert(name.clone(), value)),
                None => drop(claims.remove(name)),
            }
        }
        let mut claims = self.issuing.claims(claims, now, random_id()?);
        // It is not good for longer than what it tells of.
        let ends = identity.expires.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(ends) = ends
            && claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| exp > ends.as_secs())
        {
            claims.insert("exp".to_owned(), ends.as_secs().into());
        }
        self.signers.first()?.sign("JWT", &claims).ok()
    }
}

/// The signers of keys in files that stand beside the document, or the one of a secret: the first
/// signs, the others are still published.
///
/// # Errors
///
/// Says which key cannot be read, or does not fit the algorithm.
pub fn signers(
    algorithm: Algorithm,
    keys: Option<&[String]>,
    secret: Option<&Secret>,
    folder: &Path,
) -> Result<Vec<Signer>, Invalid> {
    let Some(keys) = keys else { return Ok(vec![Signer::new(algorithm, None, secret)?]) };
    let signer = |key: &String| {
        let pem = outside::file(folder, key).map_err(|invalid| invalid.under("key"))?;
        Signer::new(algorithm, Some(&pem), secret)
    };
    keys.iter().map(signer).collect()
}

/// A claim: one that is a single claim of the identity keeps its type.
fn claim(template: &Template, identity: &Identity) -> Option<Value> {
    if let Some(Reference::Identity(name)) = template.as_reference() {
        return identity.value(name);
    }
    let mut text = Vec::new();
    template.render(&Alone(identity), &mut text).then_some(())?;
    Some(Value::from(String::from_utf8(text).ok()?))
}

/// An identity apart from any request.
pub(super) struct Alone<'a>(pub &'a Identity);

impl Source for Alone<'_> {
    fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>> {
        match reference {
            Reference::Identity(name) => self.0.text(name),
            Reference::Consumer(field) => self.0.consumer.as_ref()?.text(*field),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Consumer;
    use crate::jose::{Algorithms, KeySet, LEEWAY, MAX_SIZE, Rules, Token, verify};
    use crate::telemetry::metrics::Way;
    use serde_json::json;
    use std::sync::Arc;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn assertion(claims: &[(&str, &str)]) -> Result<Assertion, Invalid> {
        let signer = Signer::from_secret(SECRET, Algorithm::HS256).unwrap();
        let lifetime = Duration::from_secs(60);
        let issuing = Issuing { issuer: "gateway".into(), audience: Vec::new(), lifetime };
        let claims = claims.iter().map(|(name, text)| ((*name).to_owned(), text.parse().unwrap()));
        let header = HeaderName::from_static("x-identity");
        Assertion::new(header, vec![signer], issuing, claims.collect())
    }

    fn identity() -> Identity {
        let consumer =
            Consumer { name: "acme".into(), tier: Some("gold".into()), ..Consumer::default() };
        Identity {
            roles: vec!["admin".into()],
            consumer: Some(Arc::new(consumer)),
            ..Identity::new(
                Way::Jwt,
                Arc::new(Map::from_iter([("sub".into(), json!("u1")), ("age".into(), json!(7))])),
            )
        }
    }

    fn read(value: &HeaderValue, now: SystemTime) -> Arc<Map<String, Value>> {
        let algorithms: Algorithms = [Algorithm::HS256].into_iter().collect();
        let keys = KeySet::secret(SECRET, algorithms).unwrap();
        let rules = Rules {
            issuer: "gateway".into(),
            audience: Vec::new(),
            algorithms,
            leeway: LEEWAY,
            typ: None,
            max_size: MAX_SIZE,
        };
        let token = Token::read(value.to_str().unwrap(), MAX_SIZE).unwrap();
        verify(&token, &keys, &rules, now).unwrap().all
    }

    #[test]
    fn a_token_says_who_is_asking_and_claims_keep_their_types() {
        let now = SystemTime::now();
        let assertion = assertion(&[("age", "$(identity.age)"), ("tier", "$(identity.none)")]);
        let claims = read(&assertion.unwrap().value(&identity(), now).unwrap(), now);
        assert_eq!(claims["sub"], "u1");
        assert_eq!(claims["roles"], json!(["admin"]));
        assert_eq!(claims["consumer"], "acme");
        assert_eq!(claims["age"], 7);
        assert!(!claims.contains_key("tier"));
    }

    #[test]
    fn a_token_is_signed_anew_when_half_of_its_life_is_over() {
        let (assertion, identity) = (assertion(&[]).unwrap(), identity());
        // Of its first second most is over when it is made, and its life counts from that second.
        let begun = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_900);
        let value =
            |after| assertion.value(&identity, begun + Duration::from_millis(after)).unwrap();
        let first = value(0);
        assert_eq!(value(29_000), first);
        assert_ne!(value(29_100), first);
    }

    #[test]
    fn what_differs_between_requests_is_no_claim() {
        let refusal = assertion(&[("path", "$(request.path)")]).unwrap_err().to_string();
        assert!(refusal.contains("is a request's own"), "{refusal}");
        assert!(assertion(&[("exp", "1")]).is_err());
    }
}
