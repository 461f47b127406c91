//! The callers that the configuration knows by name, and what they are known by.

mod config;

pub use config::{BasicConfig, ConsumerConfig, CredentialsConfig};

use crate::credential::{ApiKeys, Busy, Certificates, MtlsMatch, Passwords, Verifier};
use crate::exchange::{ClientCertificate, Consumer};
use crate::value::{Invalid, Step};
use serde_json::{Map, Value};
use std::collections::HashMap;
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
    /// By claim, and by its value.
    claims: Vec<(String, HashMap<Box<str>, Arc<Consumer>>)>,
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
            if consumers.names.iter().any(|known| *known.name == **config.name) {
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
        for (number, subject) in config.jwt_sub.iter().flat_map(|all| all.iter()).enumerate() {
            if let Some(before) = self.claim("sub", subject, consumer) {
                told("jwt_sub", Some(number), &before, "subject");
            }
        }
        for (claim, values) in &config.jwt_claims {
            for value in values.iter() {
                if let Some(before) = self.claim(claim, value, consumer) {
                    told("jwt_claims", None, &before, &format!("`{claim}`"));
                }
            }
        }
    }

    fn match_by(&mut self, by: MtlsMatch) {
        if !self.matches.contains(&by) {
            self.matches.push(by);
        }
    }

    fn claim(
        &mut self,
        claim: &str,
        value: &str,
        consumer: &Arc<Consumer>,
    ) -> Option<Arc<Consumer>> {
        let known = self.claims.iter().position(|(known, _)| known == claim);
        let place = known.unwrap_or_else(|| {
            self.claims.push((claim.to_owned(), HashMap::new()));
            self.claims.len() - 1
        });
        self.claims[place].1.insert(value.into(), Arc::clone(consumer))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
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

    /// Whose claims are. A subject says more than any other claim, and those are asked in the order
    /// in which the configuration first names them.
    pub fn of_claims(&self, claims: &Map<String, Value>) -> Option<&Arc<Consumer>> {
        let by_subject = self.claims.iter().filter(|(claim, _)| claim == "sub");
        let by_others = self.claims.iter().filter(|(claim, _)| claim != "sub");
        let mut asked = by_subject.chain(by_others);
        asked.find_map(|(claim, owners)| owners.get(claims.get(claim)?.as_str()?))
    }
}
