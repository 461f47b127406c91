//! Names of endpoints, resolved in the background so that no worker waits for a name server.

use super::{Address, Service};
use arc_swap::ArcSwap;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long an answer is taken for good: the system's resolver does not tell its time to live.
const REFRESH: Duration = Duration::from_secs(30);
/// How soon a name that has no address is asked for again.
const RETRY: Duration = Duration::from_secs(2);

/// An endpoint's address, whether it was written down or has to be resolved.
#[derive(Debug)]
pub struct Resolver {
    address: Address,
    fixed: Option<PeerAddress>,
    text: String,
    resolved: ArcSwap<Vec<SocketAddr>>,
}

impl Resolver {
    pub(super) fn new(address: Address) -> Self {
        Resolver {
            fixed: address.fixed(),
            text: address.to_string(),
            address,
            resolved: ArcSwap::default(),
        }
    }

    /// The address as text, where it is always the same: a log need not write it anew.
    pub fn fixed_text(&self) -> Option<&str> {
        self.fixed.as_ref().map(|_| self.text.as_str())
    }

    /// The address for a turn; `None` while the name has none.
    pub(super) fn address(&self, turn: usize) -> Option<PeerAddress> {
        if let Some(fixed) = &self.fixed {
            return Some(fixed.clone());
        }
        let resolved = self.resolved.load();
        let count = resolved.len();
        Some(PeerAddress::Inet(resolved[turn.checked_rem(count)?]))
    }

    /// How many addresses it has.
    pub(super) fn count(&self) -> usize {
        self.fixed.as_ref().map_or_else(|| self.resolved.load().len(), |_| 1)
    }

    /// Asks for the name's addresses. The last known ones stay when there is no answer.
    async fn refresh(&self) -> bool {
        let Address::Name(name, port) = &self.address else {
            return true;
        };
        match tokio::net::lookup_host((name.as_str(), *port)).await {
            Ok(addresses) => {
                let mut addresses: Vec<SocketAddr> = addresses.collect();
                addresses.sort_unstable();
                addresses.dedup();
                if **self.resolved.load() != addresses {
                    tracing::info!(name, ?addresses, "endpoint resolved");
                    self.resolved.store(Arc::new(addresses));
                }
                true
            }
            Err(error) => {
                tracing::warn!(name, %error, "endpoint does not resolve");
                false
            }
        }
    }

    fn is_name(&self) -> bool {
        self.fixed.is_none()
    }
}

/// Resolves a service's names, and goes on to do so in the background until the service is gone.
///
/// Returns when each name was asked for once, whatever came of it.
pub async fn keep_resolved(service: &Arc<Service>) {
    if !service.endpoints.iter().any(|endpoint| endpoint.address.is_name()) {
        return;
    }
    let complete = refresh(service).await;
    tokio::spawn(refresh_while_used(Arc::downgrade(service), complete));
}

async fn refresh(service: &Service) -> bool {
    let mut complete = true;
    for endpoint in &service.endpoints {
        complete &= endpoint.address.refresh().await;
    }
    complete
}

async fn refresh_while_used(service: Weak<Service>, mut complete: bool) {
    loop {
        tokio::time::sleep(if complete { REFRESH } else { RETRY }).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        complete = refresh(&service).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_an_address_once_it_is_resolved() {
        let resolver = Resolver::new(Address::Name("localhost".into(), 80));
        assert!(resolver.address(0).is_none());
        assert!(resolver.refresh().await);
        assert_eq!(resolver.address(0).unwrap().as_inet().unwrap().port(), 80);
    }

    #[tokio::test]
    async fn a_name_that_is_gone_keeps_its_last_addresses() {
        let resolver = Resolver::new(Address::Name("name.invalid".into(), 80));
        resolver.resolved.store(Arc::new(vec![SocketAddr::from(([127, 0, 0, 1], 80))]));
        assert!(!resolver.refresh().await);
        assert!(resolver.address(7).is_some());
    }
}
