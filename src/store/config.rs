//! What may be typed of a store.

use super::settings::{Sentinel, Servers, Settings, Tls};
use super::url::Url;
use crate::upstream::Address;
use crate::value::{Duration, Invalid, OneOrMany, Secret};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time;

/// How long a call may take, where nothing is said.
const TIMEOUT: time::Duration = time::Duration::from_millis(5);
/// How long connecting may take, where nothing is said.
const CONNECT_TIMEOUT: time::Duration = time::Duration::from_secs(1);
/// What keys begin with, where nothing is said.
const PREFIX: &str = "sluicegate:";
/// The longest that keys may begin with.
const LONGEST_PREFIX: usize = 128;

/// A Redis or Valkey that several gateways share: exactly one of `redis` and `sentinel` says where
/// it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Store")]
pub struct StoreConfig {
    /// Its url, `redis://HOST:PORT` or, inside TLS, `rediss://HOST:PORT`; of a cluster one or several
    /// of its nodes.
    pub redis: Option<OneOrMany<Url>>,
    /// Whether it is a Redis Cluster; it is not where this is left out. The nodes that are named know
    /// the others.
    #[serde(default)]
    pub cluster: bool,
    /// The sentinels that know which server is the master.
    pub sentinel: Option<SentinelConfig>,
    /// Who asks; the default user where it is left out and the url names none.
    pub username: Option<String>,
    /// That user's password; none where it is left out and the url has none.
    pub password: Option<Secret>,
    /// TLS to its servers; `rediss://` means it too. Its certificate is checked against the system's
    /// authorities where nothing else is said.
    pub tls: Option<StoreTls>,
    /// How long a call may take, longer than zero; 5 milliseconds where it is left out.
    pub timeout: Option<Duration>,
    /// How long connecting may take, longer than zero; 1 second where it is left out.
    pub connect_timeout: Option<Duration>,
    /// What all keys begin with, up to 128 bytes; `sluicegate:` where it is left out.
    pub prefix: Option<String>,
}

/// Sentinels, which know which server is the master.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StoreSentinel")]
pub struct SentinelConfig {
    /// The name that they know the master by.
    pub master: String,
    /// Where they listen, `HOST:PORT` each; they are asked in turn.
    pub nodes: Vec<Address>,
    /// Who asks them; the default user where it is left out.
    pub username: Option<String>,
    /// That user's password; none where it is left out.
    pub password: Option<Secret>,
    /// The number of the master's database; 0 where it is left out.
    #[serde(default)]
    pub database: u32,
}

/// TLS to a store, and to its sentinels.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTls {
    /// The file of the authorities that its certificate is checked against, in PEM; the system's
    /// where it is left out.
    pub ca: Option<String>,
    /// The file of the certificate that is shown, with its chain, in PEM; none where it is left out.
    pub cert: Option<String>,
    /// The file of that certificate's key, in PEM.
    pub key: Option<String>,
}

impl StoreConfig {
    /// What was typed of the store of a name means; files are found from `folder`.
    ///
    /// # Errors
    ///
    /// Says what is missing, contradicts itself or cannot be read.
    pub fn compile(&self, name: &str, folder: &Path) -> Result<Settings, Invalid> {
        let urls = self.redis.as_ref().map(|urls| &urls[..]);
        let (servers, url) = match (urls, &self.sentinel) {
            (Some(_), Some(_)) => {
                let message = "sentinels say where the master is, a url beside them is not asked";
                return Err(Invalid::new(message).under("redis"));
            }
            (None, None) => {
                let message =
                    "a store is somewhere: write `redis: redis://HOST:6379` or `sentinel`";
                return Err(Invalid::new(message));
            }
            (None, Some(_)) if self.cluster => {
                let message = "a cluster has no sentinels, name some of its nodes in `redis`";
                return Err(Invalid::new(message).under("cluster"));
            }
            (None, Some(sentinel)) => {
                (sentinel.compile().map_err(|invalid| invalid.under("sentinel"))?, None)
            }
            (Some(urls), None) => {
                let first = self.nodes(urls).map_err(|invalid| invalid.under("redis"))?;
                let addresses = urls.iter().map(|url| (url.host.clone(), url.port));
                let servers = match self.cluster {
                    true => Servers::Cluster(addresses.collect()),
                    false => Servers::One(first.host.clone(), first.port),
                };
                (servers, Some(first))
            }
        };
        let (url_user, url_password) =
            url.map(|url| (url.username.clone(), url.password.clone())).unwrap_or_default();
        let username = once("username", self.username.clone(), url_user)?;
        let password = once("password", self.password.clone(), url_password)?;
        if username.is_some() && password.is_none() {
            return Err(
                Invalid::new("a user has a password, write it as `password`").under("username")
            );
        }
        let is_tls = self.tls.is_some() || url.is_some_and(|url| url.tls);
        let tls = is_tls.then(|| self.tls.clone().unwrap_or_default());
        let tls = tls.map(|tls| tls.compile(folder)).transpose();
        let database = match (&self.sentinel, url) {
            (Some(sentinel), _) => sentinel.database,
            (None, url) => url.map_or(0, |url| url.database),
        };
        Ok(Settings {
            name: name.into(),
            servers,
            username,
            password,
            database,
            tls: tls.map_err(|invalid| invalid.under("tls"))?,
            timeout: span("timeout", self.timeout, TIMEOUT)?,
            connect_timeout: span("connect_timeout", self.connect_timeout, CONNECT_TIMEOUT)?,
            prefix: self.prefix()?,
        })
    }

    /// Checks the urls together; the first of them, whose user they share.
    fn nodes<'a>(&self, urls: &'a [Url]) -> Result<&'a Url, Invalid> {
        let first = urls.first().expect("a list that may be one is refused empty when it is read");
        if !self.cluster && urls.len() > 1 {
            let message = "several nodes are a cluster: write `cluster: true`, or `sentinel` if they \
                           are a master and its replicas";
            return Err(Invalid::new(message));
        }
        let who = |url: &Url| (url.tls, url.username.clone(), url.password.clone());
        if let Some(other) = urls.iter().position(|url| who(url) != who(first)) {
            let message =
                "the nodes of a cluster are asked alike: the same scheme, user and password";
            return Err(Invalid::new(message).under(other));
        }
        if let Some(at) = urls.iter().position(|url| self.cluster && url.database != 0) {
            return Err(Invalid::new("a cluster has no databases but 0").under(at));
        }
        Ok(first)
    }

    fn prefix(&self) -> Result<Box<str>, Invalid> {
        let prefix = self.prefix.as_deref().unwrap_or(PREFIX);
        let wrong = |message: String| Err(Invalid::new(message).under("prefix"));
        if prefix.len() > LONGEST_PREFIX {
            return wrong(format!("a prefix has up to {LONGEST_PREFIX} bytes"));
        }
        if prefix.contains('{') {
            // What stands in the braces decides where in a cluster a key is, for all keys alike.
            return wrong(
                "a prefix with `{` would put all keys on one node of a cluster".to_owned(),
            );
        }
        Ok(prefix.into())
    }
}

impl SentinelConfig {
    fn compile(&self) -> Result<Servers, Invalid> {
        if self.master.is_empty() {
            return Err(Invalid::new("the master has a name, often `mymaster`").under("master"));
        }
        if self.nodes.is_empty() {
            return Err(Invalid::new("without sentinels nobody knows the master").under("nodes"));
        }
        if self.username.is_some() && self.password.is_none() {
            return Err(
                Invalid::new("a user has a password, write it as `password`").under("username")
            );
        }
        let node = |(index, node): (usize, &Address)| match node {
            Address::Ip(address) => Ok((address.ip().to_string(), address.port())),
            Address::Name(name, port) => Ok((name.clone(), *port)),
            Address::Unix(_) => {
                Err(Invalid::new("a sentinel listens at HOST:PORT").under(index).under("nodes"))
            }
        };
        Ok(Servers::Sentinel(Sentinel {
            master: self.master.clone(),
            nodes: self.nodes.iter().enumerate().map(node).collect::<Result<_, _>>()?,
            username: self.username.clone(),
            password: self.password.clone(),
        }))
    }
}

impl StoreTls {
    fn compile(&self, folder: &Path) -> Result<Tls, Invalid> {
        let client = match (&self.cert, &self.key) {
            (None, None) => None,
            (Some(_), None) => return Err(Invalid::new("a certificate has a key").under("cert")),
            (None, Some(_)) => return Err(Invalid::new("a key has a certificate").under("key")),
            (Some(cert), Some(key)) => {
                let chain = certificates("cert", cert, folder)?;
                let pem = file("key", key, folder)?;
                PrivateKeyDer::from_pem_slice(&pem)
                    .map_err(|error| unusable("key", key, &error))?;
                Some((chain, zeroize::Zeroizing::new(pem)))
            }
        };
        Ok(Tls {
            ca: self.ca.as_ref().map(|ca| certificates("ca", ca, folder)).transpose()?,
            client,
        })
    }
}

/// What stands in the url or in a field, and not in both.
fn once<T>(field: &str, typed: Option<T>, url: Option<T>) -> Result<Option<T>, Invalid> {
    if typed.is_some() && url.is_some() {
        return Err(Invalid::new(format!("the {field} stands in the url too")).under(field));
    }
    Ok(typed.or(url))
}

fn span(
    field: &str,
    typed: Option<Duration>,
    default: time::Duration,
) -> Result<time::Duration, Invalid> {
    match typed.map_or(default, |span| *span) {
        time::Duration::ZERO => {
            Err(Invalid::new("no call would ever be in time, write a time such as `5ms`")
                .under(field))
        }
        span => Ok(span),
    }
}

fn file(field: &str, path: &str, folder: &Path) -> Result<Vec<u8>, Invalid> {
    fs::read(folder.join(path)).map_err(|error| unusable(field, path, &error))
}

/// The certificates of a file, of which there is at least one.
fn certificates(field: &str, path: &str, folder: &Path) -> Result<Vec<u8>, Invalid> {
    let pem = file(field, path, folder)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match parsed {
        Err(error) => Err(unusable(field, path, &error)),
        Ok(none) if none.is_empty() => {
            Err(Invalid::new(format!("{path} has no certificate in PEM")).under(field))
        }
        Ok(_) => Ok(pem),
    }
}

fn unusable(field: &str, path: &str, error: &dyn std::fmt::Display) -> Invalid {
    Invalid::new(format!("{path} cannot be read: {error}")).under(field)
}

#[cfg(test)]
mod tests;
