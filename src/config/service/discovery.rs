//! Where a service's endpoints come from when they are not written down: what may be typed, and
//! what it means.

use super::endpoints_file::read_endpoints;
use crate::config::OrText;
use crate::upstream::Address;
use crate::upstream::discovery::{self, Consul, Dns, File, Names, Source};
use crate::value::schema::word_schema;
use crate::value::{Duration, Invalid, OneOrMany, Template, deserialize_text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

/// Endpoints by DNS: the addresses of `name` at `port`, or the targets of `srv`. In short
/// `NAME:PORT`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Dns")]
pub struct DnsConfig {
    /// A name whose every address (A and AAAA) is an endpoint, at `port`. Exactly one of this and
    /// `srv` is needed.
    pub name: Option<String>,
    /// The port of the endpoints; needed with `name`, and told by the records with `srv`.
    pub port: Option<u16>,
    /// The name of SRV records (RFC 2782), such as `_http._tcp.orders.internal`: each target is an
    /// endpoint with the port, priority and weight that its record says.
    pub srv: Option<String>,
    /// The name servers to ask, `ADDRESS` or `ADDRESS:PORT`; where it is left out, the system's,
    /// with its search list and its hosts file. The port is 53 where it is left out.
    pub server: Option<OneOrMany<NameServer>>,
    /// The soonest that is asked again, whatever the records' time to live; 1 second where it is
    /// left out.
    pub min_ttl: Option<Duration>,
    /// The latest that is asked again, whatever the records' time to live; 5 minutes where it is
    /// left out.
    pub max_ttl: Option<Duration>,
}

/// A file with endpoints, which is read again whenever it changes. In short its path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EndpointsFile")]
pub struct FileConfig {
    /// Its path, from the folder of the configuration: YAML or JSON, a list of `{address, weight,
    /// priority}`, or `endpoints` with such a list. The weight is 1 and the priority 0 where they
    /// are left out.
    pub path: String,
}

/// Endpoints that Consul knows: the instances of a service that pass their checks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consul")]
pub struct ConsulConfig {
    /// Where the agent or a server answers; `http://127.0.0.1:8500` where it is left out. With
    /// `https://` its certificate is checked against the system's authorities.
    pub address: Option<String>,
    /// The service, as it was registered.
    pub service: String,
    /// Tags that an instance must have, all of them; none where it is left out.
    pub tag: Option<OneOrMany<String>>,
    /// The datacenter; the agent's own where it is left out.
    pub datacenter: Option<String>,
    /// The namespace; the token's own where it is left out.
    pub namespace: Option<String>,
    /// The ACL token to show; none where it is left out.
    pub token: Option<Template>,
    /// How long Consul may wait for a change before it answers anyway, from 1 second to 10 minutes;
    /// 30 seconds where it is left out.
    pub wait: Option<Duration>,
}

/// The address of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

/// What a service's `dns`, `file` and `consul` mean; `None` where none of them is given. Files are
/// found from `folder`.
///
/// # Errors
///
/// Refuses more than one, and says what is wrong with one, at its key.
pub fn discovered(
    dns: Option<&OrText<DnsConfig>>,
    file: Option<&OrText<FileConfig>>,
    consul: Option<&ConsulConfig>,
    folder: &Path,
) -> Result<Option<Source>, Invalid> {
    match (dns, file, consul) {
        (None, None, None) => Ok(None),
        (Some(OrText(dns)), None, None) => {
            dns.compile().map(Some).map_err(|wrong| wrong.under("dns"))
        }
        (None, Some(OrText(file)), None) => {
            file.compile(folder).map(Some).map_err(|wrong| wrong.under("file"))
        }
        (None, None, Some(consul)) => {
            consul.compile().map(Some).map_err(|wrong| wrong.under("consul"))
        }
        _ => {
            Err(Invalid::new("endpoints come from one of `dns`, `file` and `consul`, not several"))
        }
    }
}

/// What a service's `keep` means: how long the last endpoints are kept when their source has
/// nothing better, 5 minutes where it is left out. Zero keeps nothing.
pub fn kept_for(keep: Option<Duration>) -> std::time::Duration {
    keep.map_or(discovery::KEEP, Duration::get)
}

impl DnsConfig {
    /// What it means.
    ///
    /// # Errors
    ///
    /// Says what is missing, too much, or no name.
    pub fn compile(&self) -> Result<Source, Invalid> {
        let servers = self.server.as_deref().unwrap_or_default();
        let names = match servers {
            [] => Names::system(),
            servers => Names::asking(servers.iter().map(|NameServer(at)| *at).collect()),
        };
        let dns = match (&self.name, self.port, &self.srv) {
            (Some(name), Some(port), None) => {
                check_name(name).map_err(|wrong| wrong.under("name"))?;
                if port == 0 {
                    return Err(Invalid::new("a port is a number from 1 to 65535").under("port"));
                }
                Dns::host(names, name, port)
            }
            (None, None, Some(srv)) => {
                check_name(srv).map_err(|wrong| wrong.under("srv"))?;
                Dns::srv(names, srv)
            }
            (Some(name), None, None) => {
                let message = format!("`{name}` needs a `port`: DNS tells one with `srv` only");
                return Err(Invalid::new(message));
            }
            (None, Some(_), Some(_)) => {
                return Err(Invalid::new("the port of `srv` is told by its records").under("port"));
            }
            _ => {
                return Err(Invalid::new(
                    "either `name` with a `port`, or `srv`, says what to ask",
                ));
            }
        };
        let (min, max) = self.bounds()?;
        Ok(Source::Dns(dns.bounded(min, max)))
    }

    /// The bounds of the time to live. Less than a second would be a flood of questions.
    fn bounds(&self) -> Result<(std::time::Duration, std::time::Duration), Invalid> {
        let least = discovery::dns::MIN_TTL;
        let min = self.min_ttl.map_or(least, Duration::get);
        let max = self.max_ttl.map_or(discovery::dns::MAX_TTL.max(min), Duration::get);
        if min < least {
            return Err(
                Invalid::new("at least 1s: name servers are not to be flooded").under("min_ttl")
            );
        }
        if max < min {
            let message = format!("at least {}, which is the shortest time", Duration::new(min));
            return Err(Invalid::new(message).under("max_ttl"));
        }
        Ok((min, max))
    }
}

impl FromStr for DnsConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            Ok(Address::Name(name, port)) => {
                Ok(DnsConfig { name: Some(name), port: Some(port), ..DnsConfig::default() })
            }
            Ok(_) => {
                let message = format!("`{text}` is no name: put addresses below `endpoints`");
                Err(Invalid::new(message))
            }
            Err(error) => Err(Invalid::new(error.to_string())),
        }
    }
}

/// Refuses what is no name, by the rules of an endpoint's.
fn check_name(name: &str) -> Result<(), Invalid> {
    match format!("{name}:1").parse() {
        Ok(Address::Name(..)) => Ok(()),
        _ => Err(Invalid::new(format!("`{name}` is no host name"))),
    }
}

impl FileConfig {
    /// What it means. The file itself is first read when it is watched: whatever writes it may not
    /// have begun.
    ///
    /// # Errors
    ///
    /// Refuses an empty path.
    pub fn compile(&self, folder: &Path) -> Result<Source, Invalid> {
        if self.path.is_empty() {
            return Err(Invalid::new("a path is missing here").under("path"));
        }
        Ok(Source::File(File::new(folder.join(&self.path), read_endpoints)))
    }
}

impl FromStr for FileConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(FileConfig { path: text.to_owned() })
    }
}

impl ConsulConfig {
    /// What it means.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the address, the service, the token or the wait.
    pub fn compile(&self) -> Result<Source, Invalid> {
        let address = self.address.as_deref().unwrap_or("http://127.0.0.1:8500");
        if self.service.is_empty() {
            return Err(Invalid::new("a service's name is missing here").under("service"));
        }
        let mut consul = Consul::new(address, &self.service)
            .map_err(|error| Invalid::new(error.to_string()).under("address"))?;
        for tag in self.tag.iter().flat_map(|tags| tags.iter()) {
            consul = consul.tag(tag);
        }
        if let Some(datacenter) = &self.datacenter {
            consul = consul.datacenter(datacenter);
        }
        if let Some(namespace) = &self.namespace {
            consul = consul.namespace(namespace);
        }
        if let Some(token) = &self.token {
            let token = token.as_literal().filter(|token| !token.is_empty());
            let wrong = |message: &str| Invalid::new(message).under("token");
            let token =
                token.ok_or_else(|| wrong("a token is text or `$(env:NAME)`, and not empty"))?;
            consul = consul.token(token).map_err(|error| wrong(&error.to_string()))?;
        }
        if let Some(wait) = self.wait {
            let longest = discovery::consul::LONGEST_WAIT;
            if *wait < std::time::Duration::from_secs(1) || *wait > longest {
                return Err(Invalid::new("Consul waits from 1s to 10m").under("wait"));
            }
            consul = consul.wait(*wait);
        }
        Ok(Source::Consul(consul))
    }
}

impl FromStr for NameServer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let at = text
            .parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
        match at {
            Ok(at) if at.port() > 0 => Ok(NameServer(at)),
            _ => Err(Invalid::new(format!(
                "`{text}` is no address of a name server, write it as `10.0.0.2` or `10.0.0.2:53`"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "the address of a name server")
    }
}

word_schema!(
    NameServer,
    "NameServer",
    "The address of a name server; its port is 53 where none is given.",
    {"type": "string", "examples": ["10.0.0.2", "127.0.0.1:5353"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        dns: Option<OrText<DnsConfig>>,
        file: Option<OrText<FileConfig>>,
        consul: Option<ConsulConfig>,
    }

    fn source(yaml: &str) -> Result<String, String> {
        let sample: Sample = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        let Sample { dns, file, consul } = sample;
        discovered(dns.as_ref(), file.as_ref(), consul.as_ref(), Path::new("/etc/gateway"))
            .map(|source| source.map_or_else(String::new, |source| source.to_string()))
            .map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn short_and_whole_forms_mean_the_same() {
        let short = source("dns: orders.internal:8080").unwrap();
        assert_eq!(short, "dns orders.internal:8080");
        assert_eq!(
            source("dns: {name: orders.internal, port: 8080, server: 127.0.0.1}").unwrap(),
            short
        );
        let file = source("file: a.yaml").unwrap();
        assert_eq!(file, "file /etc/gateway/a.yaml");
        assert_eq!(source("file: {path: /etc/gateway/a.yaml}").unwrap(), file);
    }

    #[test]
    fn records_and_catalogues_are_asked_for_by_name() {
        let srv = source("dns: {srv: _http._tcp.a.internal, server: [10.0.0.2, \"[::1]:5353\"]}");
        assert_eq!(srv.unwrap(), "dns _http._tcp.a.internal (SRV)");
        let consul = source("consul: {service: shipping, tag: [a, b], token: sesame, wait: 1m}");
        assert_eq!(consul.unwrap(), "consul shipping at 127.0.0.1");
        assert_eq!(source("{}").unwrap(), "");
    }

    #[test]
    fn what_cannot_be_asked_says_what_was_meant() {
        for (yaml, told) in [
            ("dns: 10.0.0.1:80", "put addresses below `endpoints`"),
            ("dns: orders.internal", "write it as `orders.internal:80`"),
            ("dns: {name: orders.internal}", "dns: `orders.internal` needs a `port`"),
            ("dns: {srv: _a._tcp.b, port: 80}", "dns.port: the port of `srv`"),
            ("dns: {name: a, srv: b, port: 1}", "either `name` with a `port`, or `srv`"),
            ("dns: {name: \"a b\", port: 80}", "dns.name: `a b` is no host name"),
            ("dns: {name: a, port: 80, min_ttl: 10ms}", "dns.min_ttl: at least 1s"),
            ("dns: {name: a, port: 80, min_ttl: 1m, max_ttl: 5s}", "dns.max_ttl: at least 1m"),
            ("dns: {name: a, port: 80, server: ns.internal}", "10.0.0.2:53"),
            ("consul: {service: a, address: localhost}", "consul.address: `localhost` is no"),
            ("consul: {service: a, token: $(client.ip)}", "consul.token: a token is text"),
            ("consul: {service: a, wait: 1h}", "consul.wait: Consul waits from 1s to 10m"),
            ("consul: {service: \"\"}", "consul.service: a service's name is missing"),
            ("{dns: \"a:1\", file: b}", "one of `dns`, `file` and `consul`"),
        ] {
            let wrong = source(yaml).unwrap_err();
            assert!(wrong.contains(told), "{yaml}: {wrong}");
        }
    }

    #[test]
    fn the_last_endpoints_are_kept_for_five_minutes_unless_it_is_said() {
        assert_eq!(kept_for(None).as_secs(), 300);
        assert_eq!(kept_for(Some("10s".parse().unwrap())).as_secs(), 10);
    }
}
