//! Endpoints that Consul knows, by blocking queries to its health endpoint.
//!
//! `GET /v1/health/service/NAME?passing=1` answers at once when it is asked for the first time; from
//! then on it is asked with the index of the last answer, and answers when something changed or
//! `wait` is over. An answer is no promise of a change. The rules for the index are Consul's own
//! (`consul/index.rs`), and so is the limit on how often is asked, since something that changes all
//! the time would otherwise keep both sides busy.
//!
//! Consul adds up to a sixteenth of `wait` by chance, so a request is given up a little after
//! that. No redirect is followed and no proxy of the environment is used: the token goes to the
//! address that was written down and nowhere else.

mod answer;
mod index;

use super::backoff::Backoff;
use super::names::{Host, Names};
use super::{Found, Kind, Reporter, Trouble};
use crate::telemetry::log::causes;
use crate::upstream::Address;
use answer::{Instance, Place, instances};
use http::HeaderValue;
use index::Index;
use reqwest::{Client, Response, StatusCode, Url};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long Consul waits for a change, where nothing is said.
pub const WAIT: Duration = Duration::from_secs(30);
/// The longest that Consul waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long connecting, and an answer that need not wait, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least time from one question to the next.
const GAP: Duration = Duration::from_millis(200);
/// The time to the next question where answers have no index, so that none can wait.
const POLL: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

/// What is asked of Consul.
#[derive(Debug, Clone)]
pub struct Consul {
    url: Url,
    service: Arc<str>,
    token: Option<HeaderValue>,
    wait: Duration,
    names: Names,
}

/// Why an address is none of Consul's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidConsul {
    /// It is no URL with a host, in plain text or TLS.
    #[error("`{0}` is no address of Consul, write it as `http://127.0.0.1:8500`")]
    Address(String),
    /// A token cannot be sent in a header.
    #[error("a token has only visible characters")]
    Token,
}

impl Consul {
    /// The instances of a service that pass their checks, as the agent or server at `address` says
    /// (`http://HOST:PORT` or `https://HOST:PORT`, below whose path `/v1` is).
    ///
    /// # Errors
    ///
    /// Says what is wrong with the address.
    pub fn new(address: &str, service: &str) -> Result<Self, InvalidConsul> {
        let wrong = || InvalidConsul::Address(address.to_owned());
        let mut url = Url::parse(address).map_err(|_| wrong())?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
            return Err(wrong());
        }
        url.path_segments_mut()
            .map_err(|()| wrong())?
            .pop_if_empty()
            .extend(["v1", "health", "service", service]);
        url.query_pairs_mut().append_pair("passing", "1");
        let (service, names) = (service.into(), Names::system());
        Ok(Consul { url, service, token: None, wait: WAIT, names })
    }

    /// Asks in a datacenter (`dc`) that is not the agent's own.
    #[must_use]
    pub fn datacenter(self, datacenter: &str) -> Self {
        self.asking("dc", datacenter)
    }

    /// Asks for instances that have a tag; with several, they must have all of them.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.asking("tag", tag)
    }

    /// Asks in a namespace (`ns`).
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.asking("ns", namespace)
    }

    fn asking(mut self, parameter: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(parameter, value);
        self
    }

    /// Shows a token (`X-Consul-Token`).
    ///
    /// # Errors
    ///
    /// Refuses what no header can carry.
    pub fn token(mut self, token: &str) -> Result<Self, InvalidConsul> {
        let mut token = HeaderValue::from_str(token).map_err(|_| InvalidConsul::Token)?;
        token.set_sensitive(true);
        self.token = Some(token);
        Ok(self)
    }

    /// Lets Consul wait so long for a change: 30 seconds where nothing is said, 10 minutes at most.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.min(LONGEST_WAIT);
        self
    }

    /// Asks for ever, and tells what changed.
    pub async fn watch(self, reporter: Reporter) {
        let mut client = None;
        let mut index = Index::default();
        let mut backoff = Backoff::default();
        let mut hosts = HashMap::new();
        loop {
            let began = Instant::now();
            let pause = match self.ask(&mut client, index).await {
                Ok((instances, told)) => {
                    backoff.reset();
                    reporter.found(self.found(instances, &mut hosts).await);
                    index = index.after(told);
                    match told {
                        Some(_) => GAP.saturating_sub(began.elapsed()),
                        None => POLL,
                    }
                }
                Err(trouble) => {
                    tracing::debug!(question = %self, %trouble, "no answer of Consul");
                    reporter.trouble(trouble);
                    // The next answer must not wait for a change to say that all is well again.
                    index = Index::default();
                    backoff.pause(fastrand::f64())
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// An HTTP client. It is made when it is first needed, since it may read the system's
    /// authorities.
    fn client(&self) -> Result<Client, Trouble> {
        // The server has done so before; a caller of the library may not.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(PATIENCE);
        if self.url.scheme() == "http" {
            // Plain text needs no authorities, and a small container may have none.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| {
            Trouble::new(Kind::Failed, format!("no HTTP client: {}", causes(&error)))
        })
    }

    async fn ask(
        &self,
        client: &mut Option<Client>,
        index: Index,
    ) -> Result<(Vec<Instance>, Option<u64>), Trouble> {
        let client = match client {
            Some(client) => client,
            none => none.insert(self.client()?),
        };
        let mut url = self.url.clone();
        let mut patience = PATIENCE;
        if let Some(index) = index.get() {
            let wait = format!("{}ms", self.wait.as_millis());
            url.query_pairs_mut()
                .append_pair("index", &index.to_string())
                .append_pair("wait", &wait);
            patience += self.wait + self.wait / 16;
        }
        let mut request = client.get(url).timeout(patience);
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token.clone());
        }
        let response = request.send().await.map_err(|error| silent(&error))?;
        let status = response.status();
        let told = response.headers().get("x-consul-index");
        let told = told.and_then(|told| told.to_str().ok()?.parse().ok());
        let body = body(response).await?;
        match status {
            StatusCode::OK => {
                let malformed =
                    |error| Trouble::new(Kind::Malformed, format!("Consul's answer: {error}"));
                Ok((instances(&body).map_err(malformed)?, told))
            }
            status => {
                let kind = if status.is_server_error() { Kind::Failed } else { Kind::Refused };
                // Its reason is a line of text, which is for the log and may be cut.
                let reason: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                Err(Trouble::new(kind, format!("Consul answers {status}: {}", reason.trim())))
            }
        }
    }

    /// The endpoints of instances. An instance whose address is a name is asked for by that name,
    /// whenever Consul answers, which is at the latest when `wait` is over.
    async fn found(
        &self,
        instances: Vec<Instance>,
        hosts: &mut HashMap<String, Host>,
    ) -> Vec<Found> {
        let mut list = Vec::with_capacity(instances.len());
        let mut known = std::mem::take(hosts);
        for Instance { place, weight } in instances {
            let found =
                |address, name| Found { address, weight, priority: 0, name, healthy: Some(true) };
            match place {
                Place::At(address) => list.push(found(address, None)),
                Place::Named(name, port) => {
                    let mut host = hosts
                        .remove(&name)
                        .or_else(|| known.remove(&name))
                        .unwrap_or_else(|| Host::new(&name));
                    let looked = host.look(&self.names, Instant::now().into_std()).await;
                    if let Some(trouble) = looked.trouble.filter(|_| looked.addresses.is_empty()) {
                        tracing::debug!(name, %trouble, "an instance has no address");
                    }
                    let shown: Arc<str> = name.trim_end_matches('.').into();
                    list.extend(looked.addresses.into_iter().map(|ip| {
                        found(Address::Ip(SocketAddr::new(ip, port)), Some(shown.clone()))
                    }));
                    hosts.insert(name, host);
                }
            }
        }
        list
    }
}

impl fmt::Display for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "consul {} at {host}", self.service)
    }
}

fn silent(error: &reqwest::Error) -> Trouble {
    Trouble::new(Kind::Silent, format!("Consul does not answer: {}", causes(error)))
}

/// The body, if it is not too large.
async fn body(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        if body.len() + chunk.len() > LARGEST {
            let message = format!("Consul's answer has more than {LARGEST} bytes");
            return Err(Trouble::new(Kind::Malformed, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_encoded() {
        let consul = Consul::new("http://127.0.0.1:8500/", "a/b ?c").unwrap();
        let consul = consul.datacenter("eu 1").tag("blue").tag("v&2").namespace("team");
        let url = consul.url.as_str();
        assert!(url.starts_with("http://127.0.0.1:8500/v1/health/service/a%2Fb%20%3Fc?"), "{url}");
        assert!(url.ends_with("?passing=1&dc=eu+1&tag=blue&tag=v%262&ns=team"), "{url}");
        let below = Consul::new("https://consul.internal/proxy", "a").unwrap();
        assert!(below.url.as_str().contains("/proxy/v1/health/service/a?"));
    }

    #[test]
    fn an_address_is_that_of_a_server_and_nothing_more() {
        for address in
            ["127.0.0.1:8500", "ftp://a", "http://", "http://a?b", "http://user@a", "consul"]
        {
            let wrong = Consul::new(address, "a").unwrap_err();
            assert!(wrong.to_string().contains("http://127.0.0.1:8500"), "{address}");
        }
    }

    #[test]
    fn a_token_is_never_told() {
        let consul = Consul::new("http://127.0.0.1:8500", "a").unwrap();
        assert!(consul.clone().token("a\nb").is_err());
        let told = format!("{:?}", consul.token("sesame").unwrap());
        assert!(!told.contains("sesame"), "{told}");
    }
}
