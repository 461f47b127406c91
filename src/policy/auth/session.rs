//! Sessions: what a login sealed into a cookie, which only the gateway can read and make.

use super::found::{Found, Refused};
use super::maker::Maker;
use super::token::malformed;
use super::verified::{self, Key};
use crate::answer::login::session::{NAME, PURPOSE};
use crate::credential::Place;
use crate::exchange::Unproven;
use crate::jose::{Sealer, Unsealed};
use crate::policy::Build;
use crate::telemetry::metrics::Way;
use crate::value::{Invalid, OneOrMany, Secret};
use http::request;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The cookie that a `login` sets (`login.session`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Session")]
pub struct Config {
    /// The cookie's name; `session` where it is left out.
    #[serde(default)]
    pub cookie: Option<String>,
    /// Secrets of at least 32 bytes each, the same as those of the `login`. The first seals, all of
    /// them open: a new one is put before the old one, which goes when its sessions are over.
    pub secret: OneOrMany<Secret>,
}

/// The sessions that a route takes.
#[derive(Debug)]
pub struct Session {
    /// Where the cookie stands.
    pub place: Place,
    sealer: Sealer,
    verifier: u64,
    maker: Maker,
}

/// The name of a session's cookie.
///
/// # Errors
///
/// Refuses what is no name of a cookie (RFC 6265 §4.1.1).
pub fn place(cookie: Option<&str>) -> Result<Place, Invalid> {
    let name = cookie.unwrap_or(NAME);
    format!("cookie.{name}").parse().map_err(|invalid: Invalid| invalid.under("cookie"))
}

impl Session {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses secrets that are too short.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        let secrets: Vec<Secret> = config.secret.iter().cloned().collect();
        Ok(Session {
            place: place(config.cookie.as_deref())?,
            sealer: Sealer::new(PURPOSE, &secrets).map_err(|invalid| invalid.under("secret"))?,
            verifier: verified::verifier(),
            maker: Maker::new(&build.vouched, &build.consumers, &[]),
        })
    }

    /// Finds the session of a request, and whose it is.
    pub fn check(&self, head: &request::Parts, now: SystemTime) -> Found {
        let sealed = match self.place.find(head) {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return Found::Nothing,
            Err(what) => return malformed(Way::Session, what).into(),
        };
        match self.sealer.open(&sealed, now) {
            Ok(claims) => {
                let expires = claims.get("exp").and_then(serde_json::Value::as_u64);
                let expires = expires.map(Duration::from_secs);
                let expires = expires.and_then(|time| SystemTime::UNIX_EPOCH.checked_add(time));
                let known = Key::new(self.verifier, sealed.as_bytes());
                Found::Known(verified::identity(known, expires, || {
                    self.maker.of_claims(Way::Session, Arc::new(claims), expires)
                }))
            }
            Err(Unsealed::Expired) => Found::Refused(Refused {
                why: Unproven::Expired,
                ..Refused::invalid(Way::Session, "the session is over")
            }),
            Err(unsealed) => Refused::invalid(Way::Session, unsealed.to_string()).into(),
        }
    }
}
