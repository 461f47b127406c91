//! What becomes of calls while a store is in trouble, and that it comes back by itself.

use super::{bucket, exactly, serves, store, store_at};
use crate::support::{Redis, eventually};
use sluicegate::store::{Cause, Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much later than its timeout a call may end on a busy machine.
const SLACK: Duration = Duration::from_millis(200);

async fn claim(store: &Store) -> Result<u32, StoreError> {
    store.claim(&bucket(1_000), b"key", exactly(1)).await.map(|grant| grant.units)
}

fn count(store: &Store, cause: Cause) -> u64 {
    let errors = store.report().errors;
    errors.iter().find(|(known, _)| *known == cause).map_or(0, |(_, count)| *count)
}

/// How many connections it has accepted.
async fn connections(redis: &Redis) -> u64 {
    let told = redis.info("INFO", "stats").await;
    let count = told.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    count.unwrap().trim().parse().unwrap()
}

async fn down(store: &Store) {
    eventually("a store that is down", async || (!store.is_up()).then_some(())).await;
}

#[tokio::test]
async fn a_store_that_stops_is_down_and_comes_back_without_its_scripts() {
    let mut redis = Redis::start().await;
    let store = store_at(&redis).await;
    assert_eq!(claim(&store).await, Ok(1));
    redis.stop();
    down(&store).await;
    let asked = Instant::now();
    assert_eq!(claim(&store).await, Err(StoreError::Down));
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    redis.restart().await;
    serves(&store).await;
    // What it counted has gone with it, what it had learnt as well.
    assert_eq!(claim(&store).await, Ok(1));
}

#[tokio::test]
async fn a_store_that_comes_back_stays_whatever_failed_before() {
    let mut redis = Redis::start().await;
    let store = Arc::new(store_at(&redis).await);
    // Many calls fail with one connection, and none of them says anything of the next.
    redis.freeze();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { claim(&store).await })
        })
        .collect();
    eventually("calls under way", async || (store.report().in_flight == 20).then_some(())).await;
    redis.stop();
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    redis.restart().await;
    eventually("a store that is up", async || store.is_up().then_some(())).await;
    let since = store.report().since;
    for _ in 0..50 {
        assert_eq!(claim(&store).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!((store.report().up, store.report().since), (true, since));
}

#[tokio::test]
async fn a_frozen_store_holds_no_call_up_for_longer_than_its_timeout() {
    let redis = Redis::start().await;
    let timeout = Duration::from_millis(50);
    let store = store(&format!("{{redis: \"redis://{redis}\", timeout: 50ms}}")).await;
    serves(&store).await;
    redis.freeze();
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(claim(&store).await, Err(StoreError::Timeout));
        assert!(asked.elapsed() < timeout + SLACK, "{:?}", asked.elapsed());
    }
    // After five in a row nobody waits for it any more.
    assert!(!store.is_up());
    let asked = Instant::now();
    for _ in 0..100 {
        assert_eq!(claim(&store).await, Err(StoreError::Down));
    }
    assert!(asked.elapsed() < timeout, "{:?}", asked.elapsed());
    assert_eq!((count(&store, Cause::Timeout), count(&store, Cause::Down)), (5, 100));
    redis.thaw();
    serves(&store).await;
}

#[tokio::test]
async fn a_store_that_nobody_asks_is_found_to_be_frozen_all_the_same() {
    let redis = Redis::start().await;
    let store = store(&format!("{{redis: \"redis://{redis}\", timeout: 500ms}}")).await;
    serves(&store).await;
    redis.freeze();
    // It asks for a sign of life, once a second.
    eventually("a store that is down", async || (!store.report().up).then_some(())).await;
    redis.thaw();
    serves(&store).await;
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_asked_for_later() {
    let redis = Redis::start().await;
    let store = store(&format!("{{redis: \"redis://{redis}\", timeout: 20ms}}")).await;
    serves(&store).await;
    let before = redis.scripts_run().await;
    redis.freeze();
    while store.is_up() {
        assert!(claim(&store).await.is_err());
    }
    redis.thaw();
    serves(&store).await;
    // Those five that it was sent it may have done; who was told at once that it is down sent none.
    let since = redis.scripts_run().await - before;
    assert!(since <= 5 + 3, "{since} scripts were run");
}

#[tokio::test]
async fn scripts_that_a_server_has_lost_are_loaded_again() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    assert_eq!(claim(&store).await, Ok(1));
    redis.ask(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert_eq!(claim(&store).await, Ok(1));
    assert_eq!(count(&store, Cause::Refused), 0);
}

#[tokio::test]
async fn a_full_store_refuses_and_is_not_down() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    assert_eq!(claim(&store).await, Ok(1));
    redis.ask(&["CONFIG", "SET", "maxmemory", "1mb"]).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await.unwrap();
    for _ in 0..10 {
        assert_eq!(claim(&store).await, Err(StoreError::Refused("OOM".into())));
    }
    assert!(store.is_up());
    assert_eq!(count(&store, Cause::Refused), 10);
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    assert_eq!(claim(&store).await, Ok(1));
    let left = store.standing(&bucket(1_000), b"key").await.unwrap().remaining;
    assert_eq!(left, 998, "what was refused has taken nothing");
}

#[tokio::test]
async fn a_replica_is_not_taken_for_its_master() {
    let master = Redis::start().await;
    let replica = Redis::replica_of(&master).await;
    let store = store_at(&replica).await;
    let refused = claim(&store).await.unwrap_err();
    assert_eq!(refused, StoreError::Refused("READONLY".into()));
    // Another connection is tried, as a failover may have gone on; but not again and again.
    let before = connections(&replica).await;
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(1) {
        drop(claim(&store).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let tried = connections(&replica).await - before;
    assert!((2..12).contains(&tried), "{tried} connections in a second");
    replica.ask(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    serves(&store).await;
}
