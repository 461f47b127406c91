//! Users and their passwords (RFC 7617).

use super::found::{Found, Refused};
use super::maker::Maker;
use super::token::malformed;
use super::verified::{self, Key};
use crate::credential::{Authorization, Basic as Userpass};
use crate::exchange::{Claimed, Unproven};
use crate::policy::Build;
use crate::telemetry::metrics::Way;
use crate::value::Invalid;
use http::request;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Instant;

/// Users and passwords of consumers (`credentials.basic`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Basic")]
pub struct Config {
    /// What a user and a password are good for, as browsers show it; the realm of the `auth` where
    /// it is left out.
    pub realm: Option<String>,
}

/// Whose users and passwords are good.
#[derive(Debug)]
pub struct Basic {
    verifier: u64,
    maker: Maker,
}

impl Basic {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses passwords that no consumer has.
    pub fn compile(build: &Build) -> Result<Self, Invalid> {
        if !build.consumers.have_passwords() {
            let message = "no consumer has a user and a password: give one `credentials.basic`";
            return Err(Invalid::new(message));
        }
        let maker = Maker::new(&build.vouched, &build.consumers, &[]);
        Ok(Basic { verifier: verified::verifier(), maker })
    }

    /// Finds the user of a request, and whose it is.
    pub async fn check(&self, head: &request::Parts, now: Instant) -> Found {
        let token = match Authorization::read(&head.headers) {
            Ok(Some(Authorization::Basic(token))) => token,
            Ok(_) => return Found::Nothing,
            Err(what) => return malformed(Way::Basic, what).into(),
        };
        let shown = match Userpass::decode(token) {
            Ok(shown) => shown,
            Err(what) => return malformed(Way::Basic, what).into(),
        };
        let consumers = self.maker.consumers();
        match consumers.of_password(shown.user(), shown.password(), now).await {
            Ok(Some(consumer)) => {
                let known = Key::new(self.verifier, shown.user().as_bytes());
                let make = || self.maker.of_consumer(Way::Basic, shown.user(), consumer);
                Found::Known(verified::identity(known, None, make))
            }
            Ok(None) => Found::Refused(Refused {
                way: Some(Way::Basic),
                why: Unproven::Invalid,
                reason: "nobody has this user and password".into(),
                claimed: Some(Claimed(shown.user().into())),
            }),
            Err(busy) => Found::Undecided(busy.to_string().into()),
        }
    }
}
