//! A store as the gateway's library asks it: what it counts, how it is reached, and what becomes of
//! calls while it is in trouble. The servers are real ones.

mod connections;
mod counting;
mod trouble;

use crate::support::{Redis, eventually, within};
use sluicegate::limit::{Claim, Kind, Plan};
use sluicegate::store::{Settings, Store, StoreConfig};
use std::num::NonZeroU32;
use std::path::Path;
use tokio::runtime::Handle;

/// What the settings of a store mean, as they stand in a configuration.
fn settings(yaml: &str) -> Settings {
    let config: StoreConfig = serde_yaml::from_str(yaml).unwrap();
    config.compile("shared", Path::new("/")).unwrap()
}

/// A store of these settings, once it was tried to reach it.
async fn store(yaml: &str) -> Store {
    let store = Store::new(settings(yaml));
    store.start(&Handle::current());
    within("the first answer of a store", store.first_answer()).await;
    store
}

/// A store at a Redis. A busy machine may take its time, where time is not what is tested.
async fn store_at(redis: &Redis) -> Store {
    let store = store(&format!("{{redis: \"redis://{redis}\", timeout: 5s}}")).await;
    assert!(store.is_up(), "{:?}", store.report());
    store
}

/// A limit of an algorithm, whose bucket is as large as the rate says.
fn plan(kind: Kind, rate: &str) -> Plan {
    let rate: sluicegate::value::Rate = rate.parse().unwrap();
    Plan { kind, rate, burst: rate.units }
}

/// A token bucket that gives nothing new while a test lasts.
fn bucket(burst: u32) -> Plan {
    Plan { burst: NonZeroU32::new(burst).unwrap(), ..plan(Kind::TokenBucket, "1/30d") }
}

/// So many and no fewer.
fn exactly(units: u32) -> Claim {
    Claim { least: units, want: units }
}

/// Waits until claims are granted.
async fn serves(store: &Store) {
    eventually("a store that serves", async || {
        store.claim(&bucket(1_000_000), b"serves", exactly(1)).await.ok()
    })
    .await;
}
