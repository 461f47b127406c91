//! The process: its threads, its doors, and how it begins and ends.
//!
//! One thread and one runtime serve per core, each with sockets of its own that the kernel deals
//! connections to (`SO_REUSEPORT`): a connection is accepted, read, proxied and answered on one
//! thread. The main thread does what is not serving: signals, the admin listener, names.

mod admin;
mod client;
mod control;
mod door;
mod figures;
mod preface;
mod pressure;
mod stores;
mod worker;

use crate::snapshot::Compiled;
use crate::telemetry::access_log::Target;
use std::net::SocketAddr;

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address could not be bound.
    #[error("{what} cannot listen on {address}: {source}")]
    Bind {
        /// Who wanted to listen.
        what: String,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The access log could not be opened.
    #[error("the access log `{target}` cannot be opened: {source}")]
    AccessLog {
        /// Where it should have gone.
        target: Target,
        /// Why not.
        source: std::io::Error,
    },
    /// A thread or its runtime could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The process may not run on a core that it is told to.
    #[error("a thread cannot be pinned to core {core}: {source}")]
    Affinity {
        /// The core.
        core: usize,
        /// Why not.
        source: std::io::Error,
    },
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to end, and nothing is in flight any more or the time for it is over.
    Drained,
    /// It was told to stop at once.
    Interrupted,
}

/// Serves until the process is told to end.
pub fn run(compiled: Compiled) -> Result<End, Error> {
    // Both TLS sides take the provider from here; a second call would find it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    runtime.block_on(control::run(compiled))
}

/// Lets the process have as many connections as the system permits: the usual limit of 1,024 is
/// there for programs that use `select`.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open descriptors stays as it is");
    }
}
