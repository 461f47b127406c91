//! API keys: whoever has one is the consumer that it belongs to.

use super::found::{Found, Refused};
use super::maker::Maker;
use super::token::malformed;
use super::verified::{self, Key};
use crate::credential::{Place, find_one};
use crate::policy::Build;
use crate::telemetry::metrics::Way;
use crate::value::{Invalid, OneOrMany};
use http::{HeaderName, request};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Keys of consumers (`credentials.api_key_sha256`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKey")]
pub struct Config {
    /// Where the key stands; in the header `X-API-Key` where it is left out. In a query it comes
    /// into logs and histories, so that it is only looked for there where this says so.
    pub from: Option<OneOrMany<Place>>,
}

/// Where keys stand, and whose they are.
#[derive(Debug)]
pub struct ApiKey {
    /// Where they stand.
    pub from: Vec<Place>,
    verifier: u64,
    maker: Maker,
}

impl ApiKey {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses keys that no consumer has.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        if !build.consumers.have_api_keys() {
            let message = "no consumer has an API key: give one `credentials.api_key_sha256`";
            return Err(Invalid::new(message));
        }
        let from: Vec<Place> = config.from.iter().flat_map(|all| all.iter().cloned()).collect();
        let usual = || vec![Place::Header(HeaderName::from_static("x-api-key"))];
        Ok(ApiKey {
            from: if from.is_empty() { usual() } else { from },
            verifier: verified::verifier(),
            maker: Maker::new(&build.vouched, &build.consumers, &[]),
        })
    }

    /// Finds the key of a request, and whose it is.
    pub fn check(&self, head: &request::Parts) -> Found {
        let key = match find_one(&self.from, head) {
            Ok(Some((_, key))) => key,
            Ok(None) => return Found::Nothing,
            Err(what) => return malformed(Way::ApiKey, what).into(),
        };
        match self.maker.consumers().of_api_key(&key) {
            Some(consumer) => {
                let known = Key::new(self.verifier, consumer.name.as_bytes());
                Found::Known(verified::identity(known, None, || {
                    self.maker.of_consumer(Way::ApiKey, &consumer.name, Arc::clone(consumer))
                }))
            }
            None => Refused::invalid(Way::ApiKey, "nobody has this API key").into(),
        }
    }
}
