//! Sources of endpoints, by the library's own API: DNS against a small real name server, files on
//! a real file system, and Consul against a stand-in.

mod consul;
mod dns;
mod files;

use crate::support::eventually;
use sluicegate::upstream::discovery::{Found, Kind, Source, Trouble, Update};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A source that is watched; it ends with the value.
struct Watched {
    updates: watch::Receiver<Update>,
    watching: JoinHandle<()>,
}

impl Watched {
    fn new(source: Source) -> Watched {
        let (sender, updates) = watch::channel(Update::Pending);
        Watched { updates, watching: tokio::spawn(source.watch(sender)) }
    }

    fn now(&self) -> Update {
        self.updates.borrow().clone()
    }

    /// Waits until these are the endpoints.
    async fn lists(&self, wanted: &[&str]) -> Arc<[Found]> {
        eventually(&format!("the endpoints {wanted:?}"), async || match self.now() {
            Update::Found(list) if told(&list) == wanted => Some(list),
            _ => None,
        })
        .await
    }

    /// Waits until there is trouble of this kind.
    async fn is_in_trouble(&self, kind: Kind) -> Trouble {
        eventually(&format!("trouble: {kind:?}"), async || match self.now() {
            Update::Trouble(trouble) if trouble.kind == kind => Some(trouble),
            _ => None,
        })
        .await
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn told(list: &[Found]) -> Vec<String> {
    list.iter().map(|found| found.address.to_string()).collect()
}
