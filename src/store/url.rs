//! Where a Redis listens, as its URL says it.

use crate::value::schema::word_schema;
use crate::value::{Invalid, Secret, deserialize_text};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use std::str::FromStr;

/// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is asked inside TLS.
    pub tls: bool,
    /// Its name or address; one of IPv6 without its brackets.
    pub host: String,
    /// Its port; 6379 where it is left out.
    pub port: u16,
    /// Who asks.
    pub username: Option<String>,
    /// That user's password.
    pub password: Option<Secret>,
    /// The number of the database; 0 where it is left out.
    pub database: u32,
}

impl FromStr for Url {
    type Err = Invalid;

    /// No error repeats the text, in which a password may stand.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (tls, rest) = match text.split_once("://") {
            Some(("redis" | "valkey", rest)) => (false, rest),
            Some(("rediss" | "valkeys", rest)) => (true, rest),
            Some(_) => {
                return Err(Invalid::new("a store's url begins with `redis://` or `rediss://`"));
            }
            None => {
                let message = "a store's url is written as `redis://HOST:6379`";
                return Err(Invalid::new(message));
            }
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match path {
            "" => 0,
            path => path.parse().map_err(|_| {
                Invalid::new(format!(
                    "`/{path}` is no database, a database is a number such as `/0`"
                ))
            })?,
        };
        let (host, port) = address(authority)?;
        let (username, password) = credentials.map(user).transpose()?.unwrap_or_default();
        Ok(Url { tls, host, port, username, password, database })
    }
}

fn address(authority: &str) -> Result<(String, u16), Invalid> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let whole = rest.split_once(']');
            let (host, rest) =
                whole.ok_or_else(|| Invalid::new("the `[` of an address has no `]`"))?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(Invalid::new("a store's url names a host, as in `redis://HOST:6379`"));
    }
    let port = match port.map(str::parse) {
        None => 6379,
        Some(Ok(port @ 1..)) => port,
        Some(_) => {
            return Err(Invalid::new("the port of a store's url is a number from 1 to 65535"));
        }
    };
    Ok((host.to_owned(), port))
}

/// `USER:PASSWORD`, `:PASSWORD` or `USER`, each percent-encoded (RFC 3986 §3.2.1).
fn user(credentials: &str) -> Result<(Option<String>, Option<Secret>), Invalid> {
    let (username, password) = match credentials.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (credentials, None),
    };
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        let decoded = decoded.map(|text| text.into_owned());
        decoded.map_err(|_| Invalid::new("the user or password of a store's url is no UTF-8"))
    };
    let username = Some(decode(username)?).filter(|username| !username.is_empty());
    let password = password.map(|password| decode(password)?.parse()).transpose()?;
    Ok((username, password))
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a url such as `redis://127.0.0.1:6379`")
    }
}

word_schema!(
    Url,
    "StoreUrl",
    "Where a Redis listens: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS.",
    {"type": "string", "examples": ["redis://127.0.0.1:6379", "rediss://redis.internal:6380/1"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Url, String> {
        text.parse().map_err(|invalid: Invalid| invalid.to_string())
    }

    #[test]
    fn what_a_url_leaves_out_is_the_usual() {
        let url = read("redis://cache.internal").unwrap();
        assert_eq!(
            (url.tls, &*url.host, url.port, url.database),
            (false, "cache.internal", 6379, 0)
        );
        assert_eq!((url.username, url.password), (None, None));
    }

    #[test]
    fn a_url_may_say_it_all() {
        let url = read("rediss://gate:p%40ss:w@[::1]:6380/3").unwrap();
        assert_eq!((url.tls, &*url.host, url.port, url.database), (true, "::1", 6380, 3));
        assert_eq!(url.username.as_deref(), Some("gate"));
        assert_eq!(url.password.unwrap().reveal(), "p@ss:w");
        assert_eq!(read("redis://:hush@a").unwrap().username, None);
    }

    #[test]
    fn no_mistake_repeats_a_password() {
        for wrong in [
            "http://u:hush@a",
            "u:hush@a:6379",
            "redis://u:hush@",
            "redis://u:hush@a:0",
            "redis://u:hush@a b",
            "redis://u:hush@[::1",
            "redis://u:hush@a/x",
        ] {
            let told = read(wrong).unwrap_err();
            assert!(!told.contains("hush"), "{told}");
        }
        assert!(!format!("{:?}", read("redis://:hush@a")).contains("hush"));
    }
}
