//! What was typed of a store, as it is meant.

use crate::value::Secret;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// How a store is reached. Who asks with the same settings shares its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: Box<str>,
    /// Where it is.
    pub servers: Servers,
    /// Who asks.
    pub username: Option<String>,
    /// That user's password.
    pub password: Option<Secret>,
    /// The number of its database.
    pub database: u32,
    /// TLS to it.
    pub tls: Option<Tls>,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// What its keys begin with.
    pub prefix: Box<str>,
}

/// Where a store is: hosts and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// One server.
    One(String, u16),
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<(String, u16)>),
    /// Whichever server is the master.
    Sentinel(Sentinel),
}

/// Who knows which server is the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// The master's name.
    pub master: String,
    /// Where the sentinels are.
    pub nodes: Vec<(String, u16)>,
    /// Who asks them.
    pub username: Option<String>,
    /// That user's password.
    pub password: Option<Secret>,
}

/// TLS to a store; what is in its files, so that a reload sees what has changed in them.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authorities, in PEM; the system's where there are none.
    pub ca: Option<Vec<u8>>,
    /// The certificate that is shown and its key, in PEM.
    pub client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
