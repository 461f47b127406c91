//! What keeps a service's endpoints up to date: one task on the main thread for each service.

use super::{Address, Found, Origin, Service};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long an answer is taken for good: the system's resolver does not tell its time to live.
const REFRESH: Duration = Duration::from_secs(30);
/// How soon a name that has no address is asked for again.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps a service until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    first: watch::Receiver<bool>,
}

impl Keeper {
    /// Begins to keep a service.
    pub fn start(service: &Arc<Service>) -> Self {
        let (told, first) = watch::channel(false);
        let task = tokio::spawn(keep(Arc::clone(service), told));
        Keeper { task, first }
    }

    /// Waits until every origin was asked once, whatever came of it.
    pub async fn first_answer(&mut self) {
        // A keeper that is gone has nothing more to say.
        drop(self.first.wait_for(|&told| told).await);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(service: Arc<Service>, told: watch::Sender<bool>) {
    let mut known: Vec<Vec<Found>> = service.origins.iter().map(|_| Vec::new()).collect();
    loop {
        let mut complete = true;
        let mut names = false;
        for (origin, known) in service.origins.iter().zip(&mut known) {
            match origin {
                Origin::Fixed(found) => *known = vec![found.clone()],
                Origin::Named { name, port, weight, priority } => {
                    names = true;
                    match resolve(name, *port).await {
                        Some(addresses) => {
                            let found = |address| Found {
                                address: Address::Ip(address),
                                weight: *weight,
                                priority: *priority,
                                name: Some(Arc::clone(name)),
                            };
                            *known = addresses.into_iter().map(found).collect();
                        }
                        None => complete = false,
                    }
                }
            }
        }
        service.publish(&known.concat(), Instant::now());
        told.send_replace(true);
        if !names {
            return std::future::pending().await;
        }
        tokio::time::sleep(if complete { REFRESH } else { RETRY }).await;
    }
}

async fn resolve(name: &str, port: u16) -> Option<Vec<SocketAddr>> {
    match tokio::net::lookup_host((name, port)).await {
        Ok(addresses) => {
            let mut addresses: Vec<SocketAddr> = addresses.collect();
            addresses.sort_unstable();
            addresses.dedup();
            Some(addresses)
        }
        Err(error) => {
            tracing::warn!(name, %error, "endpoint does not resolve");
            None
        }
    }
}
