//! Client certificates: whoever has the key of one is the consumer that it belongs to. The listener
//! has verified that, and that an authority which it trusts has signed it.

use super::found::{Found, Refused};
use super::maker::Maker;
use super::verified::{self, Key};
use crate::credential::MtlsMatch;
use crate::exchange::{ClientCertificate, Connection};
use crate::policy::Build;
use crate::telemetry::metrics::Way;
use crate::value::Invalid;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Certificates of consumers (`credentials.mtls_…`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Mtls")]
pub struct Config {
    /// What of a certificate says whose it is: `san`, a subject alternative name; `subject`; or
    /// `fingerprint`, its SHA-256 digest. `san` where it is left out.
    #[serde(rename = "match")]
    pub matches: Option<MtlsMatch>,
}

/// Whose certificates are good.
#[derive(Debug)]
pub struct Mtls {
    matches: MtlsMatch,
    verifier: u64,
    maker: Maker,
}

impl Mtls {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses certificates that no consumer has.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        let matches = config.matches.unwrap_or(MtlsMatch::San);
        if !build.consumers.have_certificates(matches) {
            let key = match matches {
                MtlsMatch::San => "mtls_san",
                MtlsMatch::Subject => "mtls_subject",
                MtlsMatch::Fingerprint => "mtls_fingerprint",
            };
            let message = format!("no consumer has `credentials.{key}`");
            return Err(Invalid::new(message));
        }
        let maker = Maker::new(&build.vouched, &build.consumers, &[]);
        Ok(Mtls { matches, verifier: verified::verifier(), maker })
    }

    /// Finds whose the certificate of a connection is.
    pub fn check(&self, connection: &Connection) -> Found {
        let Some(certificate) = &connection.certificate else {
            return Found::Nothing;
        };
        match self.maker.consumers().of_certificate(self.matches, certificate) {
            Some(consumer) => {
                let known = Key::new(self.verifier, &certificate.fingerprint);
                Found::Known(verified::identity(known, None, || {
                    let claims = Arc::new(claims(certificate));
                    self.maker.make(Way::Mtls, claims, Some(Arc::clone(consumer)), None)
                }))
            }
            None => Refused::invalid(Way::Mtls, "nobody has this certificate").into(),
        }
    }
}

/// What a certificate says, as claims.
fn claims(certificate: &ClientCertificate) -> Map<String, Value> {
    let fingerprint: String =
        certificate.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    Map::from_iter([
        ("sub".to_owned(), Value::from(&*certificate.subject)),
        ("fingerprint".to_owned(), Value::from(fingerprint)),
    ])
}
