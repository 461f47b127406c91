//! The callers that the configuration knows by name, and what they are known by.

mod config;
#[cfg(test)]
mod tests;
mod user_name;

pub use config::{BasicConfig, ConsumerConfig, CredentialsConfig};

use crate::credential::{ApiKeys, Busy, Certificates, MtlsMatch, Passwords, Verifier};
use crate::exchange::{ClientCertificate, Consumer, find_claim};
use crate::value::{Invalid, Label, Scalars, Step};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// The consumers, by what they are known by.
#[derive(Debug, Default)]
pub struct Consumers {
    names: Vec<Arc<Consumer>>,
    api_keys: ApiKeys<Arc<Consumer>>,
    passwords: Option<Passwords<Arc<Consumer>>>,
    certificates: Certificates<Arc<Consumer>>,
    /// Which ways to match a certificate have an owner.
    matches: Vec<MtlsMatch>,
    /// Those that are known by the subject of a token.
    subjects: HashMap<Box<str>, Vec<Bearer>>,
    /// Those that are known by claims of their own, in the order of the document.
    claims: Vec<(Bearer, BTreeMap<Label, Scalars>)>,
}

/// A consumer that tokens belong to.
#[derive(Debug, Clone)]
struct Bearer {
    consumer: Arc<Consumer>,
    /// The issuers whose tokens count, if not all do.
    issuers: Option<Arc<[String]>>,
}

impl Bearer {
    /// Whether the tokens of an issuer count.
    fn has(&self, issuer: Option<&str>) -> bool {
        self.issuers.as_ref().is_none_or(|issuers| {
            issuer.is_some_and(|issuer| issuers.iter().any(|known| *known == *issuer))
        })
    }

    /// Whether there may be a token that counts for both.
    fn meets(&self, other: &Bearer) -> bool {
        match (&self.issuers, &other.issuers) {
            (Some(issuers), Some(_)) => issuers.iter().any(|issuer| other.has(Some(issuer))),
            _ => true,
        }
    }
}

impl Consumers {
    /// Turns what was typed into what it means. Adds what is wrong with it: a credential that two
    /// consumers have would be the one's today and the other's tomorrow.
    pub fn compile(
        configs: &[ConsumerConfig],
        verifier: &Arc<Verifier>,
        wrong: &mut Vec<Invalid>,
    ) -> Self {
        let mut consumers = Consumers::default();
        for (number, config) in configs.iter().enumerate() {
            let mut told = |at: &[Step], invalid: Invalid| {
                let invalid = at.iter().rev().cloned().fold(invalid, Invalid::under);
                wrong.push(invalid.under(number).under("consumers"));
            };
            if consumers.names.iter().any(|known| *known.name == *config.name.as_str()) {
                let message = format!("consumer `{}` stands here twice", config.name);
                told(&["name".into()], Invalid::new(message));
            }
            let consumer = Arc::new(config.consumer());
            consumers.names.push(Arc::clone(&consumer));
            consumers.take(&config.credentials, &consumer, verifier, &mut told);
        }
        consumers
    }

    /// Takes the credentials of a consumer in.
    fn take(
        &mut self,
        config: &CredentialsConfig,
        consumer: &Arc<Consumer>,
        verifier: &Arc<Verifier>,
        told: &mut impl FnMut(&[Step], Invalid),
    ) {
        let mut told = |key: &str, number: Option<usize>, before: &Consumer, what: &str| {
            let message = match before.name == consumer.name {
                true => format!("this {what} stands here twice"),
                false => format!("consumer `{}` has this {what} already", before.name),
            };
            let mut at: Vec<Step> = vec!["credentials".into(), key.into()];
            at.extend(number.map(Step::from));
            told(&at, Invalid::new(message));
        };
        for (number, hash) in config.api_key_sha256.iter().flat_map(|all| all.iter()).enumerate() {
            if let Some(before) = self.api_keys.insert(*hash, Arc::clone(consumer)) {
                told("api_key_sha256", Some(number), &before, "API key");
            }
        }
        if let Some(BasicConfig { user, hash }) = &config.basic {
            let passwords =
                self.passwords.get_or_insert_with(|| Passwords::new(Arc::clone(verifier)));
            if let Some(before) = passwords.insert(user, hash.clone(), Arc::clone(consumer)) {
                told("basic", None, &before, "user");
            }
        }
        let sans = config.mtls_san.iter().flat_map(|all| all.iter()).enumerate();
        for (number, name) in sans {
            self.match_by(MtlsMatch::San);
            if let Some(before) = self.certificates.insert_san(name.clone(), Arc::clone(consumer)) {
                told("mtls_san", Some(number), &before, "name");
            }
        }
        let subjects = config.mtls_subject.iter().flat_map(|all| all.iter()).enumerate();
        for (number, subject) in subjects {
            self.match_by(MtlsMatch::Subject);
            let before = self.certificates.insert_subject(subject.clone(), Arc::clone(consumer));
            if let Some(before) = before {
                told("mtls_subject", Some(number), &before, "subject");
            }
        }
        let prints = config.mtls_fingerprint.iter().flat_map(|all| all.iter()).enumerate();
        for (number, print) in prints {
            self.match_by(MtlsMatch::Fingerprint);
            let before = self.certificates.insert_fingerprint(*print, Arc::clone(consumer));
            if let Some(before) = before {
                told("mtls_fingerprint", Some(number), &before, "certificate");
            }
        }
        let issuers = config.jwt_issuer.as_ref().map(|issuers| issuers.to_vec().into());
        let bearer = Bearer { consumer: Arc::clone(consumer), issuers };
        for (number, subject) in config.jwt_sub.iter().flat_map(|all| all.iter()).enumerate() {
            let owners = self.subjects.entry((**subject).into()).or_default();
            if let Some(before) = owners.iter().find(|known| known.meets(&bearer)) {
                told("jwt_sub", Some(number), &before.consumer, "subject");
            }
            owners.push(bearer.clone());
        }
        if let Some(claims) = config.jwt_claims.as_ref().filter(|claims| !claims.is_empty()) {
            let same = |(known, others): &&(Bearer, BTreeMap<Label, Scalars>)| {
                others == claims && known.meets(&bearer)
            };
            if let Some((before, _)) = self.claims.iter().find(same) {
                told("jwt_claims", None, &before.consumer, "claims");
            }
            self.claims.push((bearer, claims.clone()));
        }
    }

    fn match_by(&mut self, by: MtlsMatch) {
        if !self.matches.contains(&by) {
            self.matches.push(by);
        }
    }

    /// Whether any has an API key.
    pub fn have_api_keys(&self) -> bool {
        !self.api_keys.is_empty()
    }

    /// Whether any has a user and a password.
    pub fn have_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Whether any has a certificate that is matched so.
    pub fn have_certificates(&self, by: MtlsMatch) -> bool {
        self.matches.contains(&by)
    }

    /// Whose an API key is.
    pub fn of_api_key(&self, key: &str) -> Option<&Arc<Consumer>> {
        self.api_keys.find(key)
    }

    /// Whose a user and a password are.
    ///
    /// # Errors
    ///
    /// Is [`Busy`] where too many are checked already.
    pub async fn of_password(
        &self,
        user: &str,
        password: &str,
        now: Instant,
    ) -> Result<Option<Arc<Consumer>>, Busy> {
        match &self.passwords {
            Some(passwords) => passwords.check(user, password, now).await,
            None => Ok(None),
        }
    }

    /// Whose a certificate is; nobody's where its names are different consumers'.
    pub fn of_certificate(
        &self,
        by: MtlsMatch,
        certificate: &ClientCertificate,
    ) -> Option<&Arc<Consumer>> {
        self.certificates.find(by, certificate).ok().flatten()
    }

    /// Whose claims are: by the subject, or else by the others, where the first consumer counts that
    /// they fit.
    pub fn of_claims(&self, claims: &Map<String, Value>) -> Option<&Arc<Consumer>> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let issuer = text("iss");
        let by_subject = text("sub").and_then(|subject| self.subjects.get(subject));
        let by_subject = by_subject.and_then(|all| all.iter().find(|one| one.has(issuer)));
        // Asked once for each new token; those that have their subject are found at once.
        let bearer = by_subject.or_else(|| {
            let fit = |(name, values): (&Label, &Scalars)| {
                find_claim(claims, name).is_some_and(|claim| has_one(claim, values))
            };
            let of = |(bearer, wanted): &&(Bearer, BTreeMap<Label, Scalars>)| {
                bearer.has(issuer) && wanted.iter().all(fit)
            };
            self.claims.iter().find(of).map(|(bearer, _)| bearer)
        });
        bearer.map(|bearer| &bearer.consumer)
    }
}

/// Whether a claim is, or is a list that has, one of some values.
fn has_one(claim: &Value, values: &Scalars) -> bool {
    let is_one = |value: &Value| values.iter().any(|one| one.equals(value));
    match claim {
        Value::Array(elements) => elements.iter().any(is_one),
        claim => is_one(claim),
    }
}
