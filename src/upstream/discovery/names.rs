//! Names and their addresses, as name servers and the hosts file tell them, with times to live.
//!
//! The resolver is hickory's, with no cache: when to ask again is for the source to say, by the
//! time to live. Of the system's configuration (`/etc/resolv.conf`) servers, search list and
//! timeouts count, and the hosts file comes first: a name that stands there, in either family, is
//! not asked for, as in glibc. Both files are read again when they change. `localhost` needs no
//! server at all (RFC 6761 §6.3). CNAMEs are followed, and an answer that was cut short on UDP is
//! asked for again on TCP (RFC 7766 §5).

use super::{Kind, Trouble};
use crate::lock::lock;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver, system_conf};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// How long an answer of the hosts file counts: it costs nothing to look again.
const HOSTS_TTL: Duration = Duration::from_secs(5);
/// How long one server may take for one answer, where servers are given.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a question may take with all servers, search names and repetitions.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one family's addresses outlive trouble with that family while the other one answers.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// What the system's configuration is read from.
const SYSTEM: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Whom to ask for names. Clones share what was read of the system's configuration.
#[derive(Clone)]
pub struct Names(Arc<Asked>);

struct Asked {
    /// The servers; the system's where there are none.
    servers: Vec<SocketAddr>,
    ready: Mutex<Option<Ready>>,
}

#[derive(Clone)]
struct Ready {
    resolver: TokioResolver,
    hosts: Arc<Hosts>,
    /// The state of the files that this was built from.
    files: [Option<SystemTime>; SYSTEM.len()],
}

/// Records, and for how long they are good.
#[derive(Debug)]
pub(super) struct Answer {
    pub records: Vec<RData>,
    pub ttl: Duration,
}

impl Names {
    /// Asks as the system's configuration says, hosts file included.
    pub fn system() -> Self {
        Names::asking(Vec::new())
    }

    /// Asks these servers alone, by UDP and TCP at the same port; without the system's search list
    /// and hosts file.
    pub fn asking(servers: Vec<SocketAddr>) -> Self {
        Names(Arc::new(Asked { servers, ready: Mutex::default() }))
    }

    /// Asks for records of one type.
    pub(super) async fn ask(&self, name: &str, kind: RecordType) -> Result<Answer, Trouble> {
        let asked = Name::from_ascii(name)
            .map_err(|error| Trouble::new(Kind::Absent, format!("{name} is no name: {error}")))?;
        let resolver = self.ready()?.resolver;
        let lookup = tokio::time::timeout(PATIENCE, resolver.lookup(asked, kind)).await;
        let lookup = lookup
            .map_err(|_| Trouble::new(Kind::Silent, format!("no answer for {name} ({kind})")))?
            .map_err(|error| trouble(name, kind, &error))?;
        // A chain of CNAMEs is as good as its first link to expire.
        let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        let records = lookup.answers().iter().filter(|record| record.record_type() == kind);
        let records = records.map(|record| record.data.clone()).collect();
        Ok(Answer { records, ttl: Duration::from_secs(ttl.into()) })
    }

    /// What the hosts file says of a name.
    fn in_hosts(&self, name: &str) -> Vec<IpAddr> {
        let (Ok(ready), Ok(name)) = (self.ready(), Name::from_ascii(name)) else {
            return Vec::new();
        };
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let query = Query::query(name.clone(), kind);
            let found = ready.hosts.lookup_static_host(&query);
            let answers = found.iter().flat_map(|lookup| lookup.answers());
            addresses.extend(answers.filter_map(|record| record.data.ip_addr()));
        }
        addresses
    }

    /// The resolver, built anew where the system's configuration changed.
    fn ready(&self) -> Result<Ready, Trouble> {
        let changed = |path: &&str| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let is_system = self.0.servers.is_empty();
        let files = if is_system { SYSTEM.each_ref().map(changed) } else { Default::default() };
        // The lock is the main thread's own: no worker resolves names.
        let mut ready = lock(&self.0.ready);
        if let Some(ready) = ready.as_ref().filter(|ready| ready.files == files) {
            return Ok(ready.clone());
        }
        let built = self.build(files).map_err(|error| {
            Trouble::new(Kind::Malformed, format!("names cannot be resolved here: {error}"))
        })?;
        Ok(ready.insert(built).clone())
    }

    fn build(&self, files: [Option<SystemTime>; SYSTEM.len()]) -> Result<Ready, NetError> {
        let (config, mut options) = if !self.0.servers.is_empty() {
            let mut options = ResolverOpts::default();
            options.timeout = TIMEOUT;
            let servers = self.0.servers.iter().map(|server| {
                let at_port = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_port);
                NameServerConfig::new(server.ip(), true, ways.into())
            });
            (ResolverConfig::from_name_servers(servers.collect()), options)
        } else if files[0].is_some() {
            system_conf::read_system_conf()?
        } else {
            // Without a configuration there is no server, but there are hosts and `localhost`.
            (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default())
        };
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let hosts = if self.0.servers.is_empty() {
            Hosts::from_system().unwrap_or_default()
        } else {
            Hosts::default()
        };
        Ok(Ready { resolver: builder.build()?, hosts: Arc::new(hosts), files })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Names").field(&self.0.servers).finish()
    }
}

fn trouble(name: &str, kind: RecordType, error: &NetError) -> Trouble {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let message = match none.response_code {
                ResponseCode::NXDomain => format!("{name} does not exist"),
                _ => format!("{name} has no {kind} record"),
            };
            Trouble::new(Kind::Absent, message)
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            Trouble::new(Kind::Refused, format!("the name server refuses to say what {name} is"))
        }
        NetError::Dns(error) => {
            Trouble::new(Kind::Failed, format!("the name server fails for {name}: {error}"))
        }
        error => Trouble::new(Kind::Silent, format!("no name server answers for {name}: {error}")),
    }
}

/// A name whose addresses are asked for again and again.
#[derive(Debug)]
pub(super) struct Host {
    name: String,
    /// What was last known of A and of AAAA, and when.
    known: [Option<(Vec<IpAddr>, Instant)>; 2],
}

/// What is known of a name after it was asked for.
#[derive(Debug)]
pub(super) struct Looked {
    /// Its addresses, of both families.
    pub addresses: Vec<IpAddr>,
    /// When to ask again, where there was an answer.
    pub ttl: Duration,
    /// What went wrong. Beside `answered`, one family did.
    pub trouble: Option<Trouble>,
    /// Whether an address was answered, and not merely remembered.
    pub answered: bool,
}

impl Host {
    pub fn new(name: &str) -> Self {
        Host { name: name.to_owned(), known: [None, None] }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for both families at once. One that fails keeps the addresses that it had for a while,
    /// so that a lost packet does not take half of the endpoints away.
    pub async fn look(&mut self, names: &Names, now: Instant) -> Looked {
        let addresses = names.in_hosts(&self.name);
        if !addresses.is_empty() {
            return Looked { addresses, ttl: HOSTS_TTL, trouble: None, answered: true };
        }
        let (four, six) = tokio::join!(
            names.ask(&self.name, RecordType::A),
            names.ask(&self.name, RecordType::AAAA)
        );
        self.learn([four, six], now)
    }

    fn learn(&mut self, families: [Result<Answer, Trouble>; 2], now: Instant) -> Looked {
        let mut looked =
            Looked { addresses: Vec::new(), ttl: Duration::MAX, trouble: None, answered: false };
        let mut absent = None;
        for (known, answer) in self.known.iter_mut().zip(families) {
            match answer {
                Ok(answer) => {
                    let found: Vec<IpAddr> =
                        answer.records.iter().filter_map(RData::ip_addr).collect();
                    looked.answered |= !found.is_empty();
                    looked.ttl = looked.ttl.min(answer.ttl);
                    *known = Some((found, now));
                }
                Err(trouble) if trouble.kind == Kind::Absent => {
                    *known = None;
                    absent = Some(trouble);
                }
                Err(trouble) => {
                    looked.trouble = Some(trouble);
                    let is_old = |(_, at): &(_, Instant)| now.duration_since(*at) >= REMEMBERED;
                    if known.as_ref().is_some_and(is_old) {
                        *known = None;
                    }
                }
            }
            looked.addresses.extend(known.iter().flat_map(|(found, _)| found));
        }
        if !looked.answered {
            looked.trouble = looked.trouble.or(absent);
        }
        looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four(last: u8) -> Result<Answer, Trouble> {
        let records = vec![RData::from(IpAddr::from([10, 0, 0, last]))];
        Ok(Answer { records, ttl: Duration::from_secs(60) })
    }

    fn six() -> Result<Answer, Trouble> {
        let records = vec![RData::from(IpAddr::from([1u16, 0, 0, 0, 0, 0, 0, 1]))];
        Ok(Answer { records, ttl: Duration::from_secs(20) })
    }

    fn failed(kind: Kind) -> Result<Answer, Trouble> {
        Err(Trouble::new(kind, "failed"))
    }

    #[tokio::test]
    async fn localhost_needs_no_server() {
        // Nobody listens at this port, and nobody is asked.
        let nobody = Names::asking(vec![SocketAddr::from(([127, 0, 0, 1], 1))]);
        for names in [Names::system(), nobody] {
            let looked = Host::new("localhost").look(&names, Instant::now()).await;
            assert!(looked.answered && looked.trouble.is_none());
            assert!(looked.addresses.iter().all(IpAddr::is_loopback), "{looked:?}");
        }
    }

    #[test]
    fn both_families_count_and_the_shorter_time_to_live() {
        let looked = Host::new("a").learn([four(1), six()], Instant::now());
        assert_eq!((looked.addresses.len(), looked.ttl.as_secs()), (2, 20));
        let looked = Host::new("a").learn([four(1), failed(Kind::Absent)], Instant::now());
        assert_eq!((looked.addresses.len(), looked.trouble), (1, None));
    }

    #[test]
    fn a_family_in_trouble_is_remembered_for_a_while() {
        let start = Instant::now();
        let mut host = Host::new("a");
        host.learn([four(1), six()], start);
        let looked = host.learn([failed(Kind::Silent), six()], start + REMEMBERED / 2);
        assert!(looked.answered && looked.trouble.is_some());
        assert_eq!(looked.addresses.len(), 2);
        let looked = host.learn([failed(Kind::Silent), six()], start + REMEMBERED);
        assert_eq!(looked.addresses.len(), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_is_forgotten_and_one_in_trouble_is_not_answered() {
        let start = Instant::now();
        let mut host = Host::new("a");
        host.learn([four(1), six()], start);
        let looked = host.learn([failed(Kind::Silent), failed(Kind::Absent)], start);
        assert_eq!((looked.answered, looked.addresses.len()), (false, 1));
        assert_eq!(looked.trouble.unwrap().kind, Kind::Silent);
        let looked = host.learn([failed(Kind::Absent), failed(Kind::Absent)], start);
        assert_eq!((looked.answered, looked.addresses.len()), (false, 0));
        assert_eq!(looked.trouble.unwrap().kind, Kind::Absent);
    }
}
