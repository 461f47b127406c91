//! The cookie of a session: what a login made, for a browser to keep and nobody but the gateway to
//! read.

use crate::jose::Sealer;
use crate::value::{HeaderName, Invalid, OneOrMany, Secret};
use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// What the keys of sessions are made for; other sealed things have other keys.
pub const PURPOSE: &str = "session";

/// What the cookie is called, where nothing is said.
pub const NAME: &str = "session";

/// The cookie of a session. It is `HttpOnly`, so that no script can read it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LoginSession")]
pub struct Config {
    /// Its name; `session` where it is left out.
    pub cookie: Option<String>,
    /// Secrets of at least 32 bytes each: the first seals, and `auth.session` opens with all.
    pub secret: OneOrMany<Secret>,
    /// Whether requests that other sites make have it (`SameSite`): `strict`, none; `lax`, those
    /// that lead to another page; `none`, all. `lax` where it is left out.
    #[serde(default)]
    pub same_site: SameSite,
    /// Whether it goes over TLS alone; yes where it is left out. Without, anyone on the way can take
    /// it, which is for tests on one machine.
    pub secure: Option<bool>,
    /// The paths that have it, those below included; `/` where it is left out.
    pub path: Option<String>,
    /// The domain that has it, with its subdomains; the host alone where it is left out.
    pub domain: Option<String>,
}

/// Whether requests that other sites make have the cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SameSite")]
pub enum SameSite {
    /// None has it.
    Strict,
    /// Those have it that lead to another page.
    #[default]
    Lax,
    /// All have it.
    None,
}

/// Makes the cookies.
#[derive(Debug)]
pub struct Session {
    name: String,
    sealer: Sealer,
    attributes: String,
}

impl Session {
    /// Turns what was typed into what it means; sessions last for `ttl`.
    ///
    /// # Errors
    ///
    /// Refuses secrets that are too short, and what is no part of a cookie (RFC 6265 §4.1.1).
    pub fn compile(config: &Config, ttl: Duration) -> Result<Self, Invalid> {
        let name = config.cookie.as_deref().unwrap_or(NAME);
        // A cookie's name is a token, as a field's is; its case counts.
        name.parse::<HeaderName>().map_err(|_| {
            Invalid::new(format!("`{name}` is no name of a cookie")).under("cookie")
        })?;
        let secrets: Vec<Secret> = config.secret.iter().cloned().collect();
        let sealer = Sealer::new(PURPOSE, &secrets).map_err(|invalid| invalid.under("secret"))?;
        let path = config.path.as_deref().unwrap_or("/");
        attribute("path", path)?;
        let mut attributes = format!("; Path={path}; Max-Age={}; HttpOnly", ttl.as_secs());
        if let Some(domain) = &config.domain {
            attribute("domain", domain)?;
            attributes.push_str(&format!("; Domain={domain}"));
        }
        let is_secure = config.secure.unwrap_or(true);
        if !is_secure && config.same_site == SameSite::None {
            let message = "browsers keep no cookie for all sites that is not `secure`";
            return Err(Invalid::new(message).under("same_site"));
        }
        let is_of_host = name.starts_with("__Host-");
        if (is_of_host || name.starts_with("__Secure-")) && !is_secure {
            let message = format!("browsers keep no cookie `{name}` that is not `secure`");
            return Err(Invalid::new(message).under("cookie"));
        }
        if is_of_host && (path != "/" || config.domain.is_some()) {
            let message = format!("browsers keep `{name}` for all paths of one host alone");
            return Err(Invalid::new(message).under("cookie"));
        }
        if is_secure {
            attributes.push_str("; Secure");
        }
        attributes.push_str(match config.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        Ok(Session { name: name.to_owned(), sealer, attributes })
    }

    /// The value of `Set-Cookie` that begins a session with these claims.
    ///
    /// # Errors
    ///
    /// Says why there is none, such as that no browser would keep it.
    pub fn cookie(&self, claims: &Map<String, Value>) -> Result<HeaderValue, String> {
        let sealed = self.sealer.seal(claims).map_err(|error| error.to_string())?;
        let cookie = format!("{}={sealed}{}", self.name, self.attributes);
        HeaderValue::try_from(cookie).map_err(|error| error.to_string())
    }
}

/// Refuses text that would end an attribute, and begin another.
fn attribute(key: &'static str, text: &str) -> Result<(), Invalid> {
    match text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') && !text.is_empty() {
        true => Ok(()),
        false => Err(Invalid::new(format!("`{text}` is no attribute of a cookie")).under(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::SystemTime;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn session(settings: &str) -> Result<Session, Invalid> {
        let config = format!("{{secret: {SECRET}{settings}}}");
        Session::compile(&serde_yaml::from_str(&config).unwrap(), Duration::from_secs(60))
    }

    #[test]
    fn a_cookie_is_out_of_reach_for_scripts_and_holds_what_was_sealed() {
        let claims = json!({"sub": "u1", "exp": 4_000_000_000_u64});
        let Value::Object(claims) = claims else { unreachable!() };
        let cookie = session("").unwrap().cookie(&claims).unwrap();
        let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
        let sealed = pair.strip_prefix("session=").unwrap();
        let sealer = Sealer::new(PURPOSE, &[SECRET.parse().unwrap()]).unwrap();
        assert_eq!(sealer.open(sealed, SystemTime::now()).unwrap(), claims);
        assert!(!pair.contains("u1"));
    }

    #[test]
    fn what_would_be_another_attribute_is_refused() {
        for settings in [", cookie: \"a b\"", ", path: \"/; Domain=x\"", ", domain: \"\""] {
            assert!(session(settings).is_err(), "{settings}");
        }
        assert!(session(", secure: false, same_site: none").is_err());
    }

    #[test]
    fn a_prefix_that_browsers_know_is_kept_to() {
        assert!(session(", cookie: __Host-s").is_ok());
        assert!(session(", cookie: __Secure-s, path: /app, domain: a.test").is_ok());
        for settings in [
            "__Host-s, path: /app",
            "__Host-s, domain: a.test",
            "__Host-s, secure: false",
            "__Secure-s, secure: false",
        ] {
            assert!(session(&format!(", cookie: {settings}")).is_err(), "{settings}");
        }
    }

    #[test]
    fn attributes_stand_in_their_order() {
        let plain = session(", secure: false, same_site: strict, domain: a.test").unwrap();
        assert!(plain.attributes.ends_with("; Domain=a.test; SameSite=Strict"));
    }
}
