//! Endpoints by DNS: the addresses of a name at a port, or SRV records (RFC 2782).
//!
//! They are asked for again when their time to live ends, within bounds. Every address of both
//! families is an endpoint: where there is no route to one (a host without IPv6), connecting to it
//! fails, and its failures eject it as they would any other. What the additional section of an SRV
//! answer says is not used: it may hold only some of the addresses, or none.

use super::backoff::Backoff;
use super::names::{Answer, Host, Looked, Names};
use super::srv::{Share, spread};
use super::{Found, Kind, Reporter, Trouble};
use crate::upstream::Address;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The soonest that a name is asked for again: some say a time to live of 0.
pub const MIN_TTL: Duration = Duration::from_secs(1);
/// The latest.
pub const MAX_TTL: Duration = Duration::from_secs(5 * 60);

/// What is asked of DNS.
#[derive(Debug, Clone)]
pub struct Dns {
    names: Names,
    question: Question,
    min_ttl: Duration,
    max_ttl: Duration,
}

#[derive(Debug, Clone)]
enum Question {
    /// The addresses of a name, at this port.
    Host { name: String, port: u16 },
    /// SRV records, as `_http._tcp.orders.internal`.
    Srv { name: String },
}

/// An answer with what it means.
struct Fresh {
    list: Vec<Found>,
    ttl: Duration,
    /// Whether some of it was remembered rather than answered.
    partly: bool,
}

impl Dns {
    /// Each address of a name is an endpoint, at this port.
    pub fn host(names: Names, name: &str, port: u16) -> Self {
        Dns::asking(names, Question::Host { name: name.to_owned(), port })
    }

    /// Each address of each target of these SRV records is an endpoint, with the port, priority
    /// and weight that its record says.
    pub fn srv(names: Names, name: &str) -> Self {
        Dns::asking(names, Question::Srv { name: name.to_owned() })
    }

    fn asking(names: Names, question: Question) -> Self {
        Dns { names, question, min_ttl: MIN_TTL, max_ttl: MAX_TTL }
    }

    /// Bounds the time to live: 1 second and 5 minutes where nothing is said.
    #[must_use]
    pub fn bounded(mut self, min_ttl: Duration, max_ttl: Duration) -> Self {
        (self.min_ttl, self.max_ttl) = (min_ttl, max_ttl.max(min_ttl));
        self
    }

    /// Asks for ever, and tells what changed.
    pub async fn watch(self, reporter: Reporter) {
        let mut hosts = HashMap::new();
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.ask(&mut hosts).await {
                Ok(fresh) => {
                    reporter.found(fresh.list);
                    let ttl = fresh.ttl.clamp(self.min_ttl, self.max_ttl);
                    if fresh.partly {
                        ttl.min(backoff.pause(fastrand::f64()).max(self.min_ttl))
                    } else {
                        backoff.reset();
                        ttl
                    }
                }
                Err(trouble) => {
                    tracing::debug!(question = %self, %trouble, "no answer of DNS");
                    reporter.trouble(trouble);
                    backoff.pause(fastrand::f64())
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask(&self, hosts: &mut HashMap<String, Host>) -> Result<Fresh, Trouble> {
        match &self.question {
            Question::Host { name, port } => {
                let host = hosts.entry(name.clone()).or_insert_with(|| Host::new(name));
                let looked = host.look(&self.names, Instant::now().into_std()).await;
                let Looked { addresses, ttl, trouble, answered } = looked;
                if !answered {
                    let nothing = || Trouble::new(Kind::Absent, format!("{name} has no address"));
                    return Err(trouble.unwrap_or_else(nothing));
                }
                let name = shown(name);
                let found = |ip| endpoint(SocketAddr::new(ip, *port), 1, 0, &name);
                let list = addresses.into_iter().map(found).collect();
                Ok(Fresh { list, ttl, partly: trouble.is_some() })
            }
            Question::Srv { name } => {
                let answer = self.names.ask(name, RecordType::SRV).await?;
                self.targets(answer, hosts).await
            }
        }
    }

    /// Resolves the targets of SRV records, all at once.
    async fn targets(
        &self,
        answer: Answer,
        hosts: &mut HashMap<String, Host>,
    ) -> Result<Fresh, Trouble> {
        let records = answer.records.iter().filter_map(|record| match record {
            // A target of "." says that the service is not there (RFC 2782).
            RData::SRV(srv) if !srv.target.is_root() && srv.port > 0 => {
                Some((srv.target.to_lowercase().to_ascii(), srv))
            }
            _ => None,
        });
        let records: Vec<_> = records.collect();
        let mut looking = JoinSet::new();
        let mut known: HashMap<String, Host> = std::mem::take(hosts);
        for (target, _) in &records {
            if hosts.contains_key(target) {
                continue;
            }
            // What is no target any more is forgotten here.
            let mut host = known.remove(target).unwrap_or_else(|| Host::new(target));
            hosts.insert(target.clone(), Host::new(target));
            let names = self.names.clone();
            looking.spawn(async move {
                let looked = host.look(&names, Instant::now().into_std()).await;
                (host, looked)
            });
        }
        let mut fresh = Fresh { list: Vec::new(), ttl: answer.ttl, partly: false };
        let mut trouble = None;
        let mut looked = HashMap::new();
        while let Some(done) = looking.join_next().await {
            let Ok((host, found)) = done else { continue };
            if found.answered {
                fresh.ttl = fresh.ttl.min(found.ttl);
            }
            fresh.partly |= found.trouble.is_some();
            trouble = trouble.or(found.trouble);
            let name = host.name().to_owned();
            hosts.insert(name.clone(), host);
            looked.insert(name, found.addresses);
        }
        let addresses = |target| looked.get(target).map(Vec::as_slice).unwrap_or_default();
        let shares = records.iter().map(|(target, srv)| Share {
            priority: srv.priority,
            weight: srv.weight,
            addresses: addresses(target).len(),
        });
        let spread = spread(&shares.collect::<Vec<_>>());
        for ((target, srv), (priority, weight)) in records.iter().zip(spread) {
            let name = shown(target);
            let found = |ip: &_| endpoint(SocketAddr::new(*ip, srv.port), weight, priority, &name);
            fresh.list.extend(addresses(target).iter().map(found));
        }
        match trouble {
            Some(trouble) if fresh.list.is_empty() => Err(trouble),
            _ => Ok(fresh),
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.question {
            Question::Host { name, port } => write!(f, "dns {name}:{port}"),
            Question::Srv { name } => write!(f, "dns {name} (SRV)"),
        }
    }
}

/// A name as `Host` and SNI say it: without the dot of the root (RFC 6066 §3).
fn shown(name: &str) -> Arc<str> {
    name.strip_suffix('.').unwrap_or(name).into()
}

fn endpoint(address: SocketAddr, weight: u32, priority: u8, name: &Arc<str>) -> Found {
    let address = Address::Ip(address);
    Found { address, weight, priority, name: Some(name.clone()), healthy: None }
}
