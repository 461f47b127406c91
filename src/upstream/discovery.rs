//! Where a service's endpoints come from when they are not written down: a name server, a file
//! that something else writes, or Consul.
//!
//! A [`Source`] runs on the main thread and tells what it finds as an [`Update`], always as a whole
//! list; workers never wait for any of this. [`follow`] puts [`Kept`] behind it, so that an empty
//! answer or a source in trouble does not take a service down at once. Each source tells trouble
//! once a kind, not once an attempt, and tries again by itself with growing pauses.
//!
//! Consul itself is in no package registry, so the tests speak with a stand-in that was written
//! after its documentation (`tests/e2e/support/consul.rs`); the name server of the tests is a small
//! real one.

mod backoff;
pub mod consul;
pub mod dns;
pub mod file;
mod kept;
mod names;
mod report;
mod srv;

pub use consul::Consul;
pub use dns::Dns;
pub use file::File;
pub use kept::Kept;
pub use names::Names;
pub use report::Reporter;

use super::Address;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a list is kept when its source has nothing better, where nothing else is said.
pub const KEEP: Duration = Duration::from_secs(5 * 60);

/// How often a follower wakes that has nothing to wait for: it could be never.
const IDLE: Duration = Duration::from_secs(3600);

/// An endpoint that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is: an IP address or a Unix socket, never a name.
    pub address: Address,
    /// Its share among those of its priority, at least 1.
    pub weight: u32,
    /// How soon it is turned to: 0 first, others when those before are not enough.
    pub priority: u8,
    /// The name that it was found by, for `Host` and SNI.
    pub name: Option<Arc<str>>,
    /// Whether the source itself says that it is well; `None` where a source does not tell.
    pub healthy: Option<bool>,
}

impl Found {
    /// An endpoint of which nothing but its address is known.
    ///
    /// A name is no address that can be connected to: there is `None` for one.
    pub fn at(address: Address) -> Option<Self> {
        let known = !matches!(address, Address::Name(..));
        known.then_some(Found { address, weight: 1, priority: 0, name: None, healthy: None })
    }
}

/// What a source tells: always the latest whole list, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Update {
    /// Nothing is known yet.
    #[default]
    Pending,
    /// All endpoints that there are, in an order that does not depend on the answer's, each
    /// address once.
    Found(Arc<[Found]>),
    /// There is no answer; what was last known is not withdrawn by it.
    Trouble(Trouble),
}

/// Why a source has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind it is. It is told again only when its kind changes.
    pub kind: Kind,
    /// What happened, for the log: in lower case and without a full stop.
    pub message: String,
}

impl Trouble {
    /// Describes what happened.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Trouble { kind, message: message.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What was asked for does not exist: a name, an address of it, a file.
    Absent,
    /// Nobody answered in time, or could be connected to.
    Silent,
    /// It was answered that this is not for us.
    Refused,
    /// It was answered that something else failed there.
    Failed,
    /// The answer cannot be read.
    Malformed,
}

/// Where a service's endpoints come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A name server.
    Dns(Dns),
    /// A file that is watched.
    File(File),
    /// A service of Consul's catalogue.
    Consul(Consul),
}

impl Source {
    /// Tells the endpoints to `updates`, and again whenever they change. It never ends: whoever
    /// spawned it aborts it when the service is gone.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has its time and its I/O.
    pub async fn watch(self, updates: watch::Sender<Update>) {
        let reporter = Reporter::new(updates);
        match self {
            Source::Dns(dns) => dns.watch(reporter).await,
            Source::File(file) => file.watch(reporter).await,
            Source::Consul(consul) => consul.watch(reporter).await,
        }
    }
}

impl fmt::Display for Source {
    /// What is asked, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Dns(dns) => dns.fmt(f),
            Source::File(file) => file.fmt(f),
            Source::Consul(consul) => consul.fmt(f),
        }
    }
}

/// Follows a source for ever: hands every changed list to `publish`, keeps the last good one for
/// `keep` when there is none, and logs, once, what went wrong and that it is well again.
///
/// The first call of `publish` comes with the first answer, or with an empty list when `keep` has
/// passed without one.
pub async fn follow(
    service: &str,
    source: Source,
    keep: Duration,
    mut publish: impl FnMut(Arc<[Found]>),
) {
    let from = source.to_string();
    let (sender, mut updates) = watch::channel(Update::Pending);
    let now = || tokio::time::Instant::now().into_std();
    let mut kept = Kept::new(keep, now());
    let mut published: Option<Arc<[Found]>> = None;
    let mut troubled = false;
    let watching = source.watch(sender);
    tokio::pin!(watching);
    loop {
        // A time that is over must not wake this loop again and again.
        let left = kept.expiry().map(|at| at.saturating_duration_since(now()));
        let left = left.filter(|left| !left.is_zero());
        let expiry = tokio::time::sleep(left.unwrap_or(IDLE));
        tokio::select! {
            () = &mut watching => return,
            changed = updates.changed() => {
                if changed.is_err() {
                    return;
                }
                let update = updates.borrow_and_update().clone();
                match &update {
                    Update::Trouble(trouble) => {
                        tracing::warn!(service, from, %trouble, "endpoints cannot be discovered");
                        troubled = true;
                    }
                    Update::Found(list) if list.is_empty() => {
                        tracing::warn!(service, from, "discovery finds no endpoint");
                        troubled = true;
                    }
                    Update::Found(_) if troubled => {
                        tracing::info!(service, from, "endpoints are discovered again");
                        troubled = false;
                    }
                    _ => {}
                }
                kept.take(&update, now());
            }
            () = expiry => {}
        }
        let Some(list) = kept.list(now()) else { continue };
        if published.as_ref() != Some(&list) {
            tracing::info!(service, from, endpoints = list.len(), "endpoints changed");
            published = Some(list.clone());
            publish(list);
        }
    }
}
