//! How a store is reached: who asks, inside TLS, by sentinels, in a cluster.

use super::{bucket, exactly, serves, store};
use crate::support::{Authority, Redis};
use sluicegate::store::Store;

async fn works(store: &Store) {
    assert!(store.is_up(), "{:?}", store.report());
    let grant = store.claim(&bucket(5), b"key", exactly(2)).await.unwrap();
    assert_eq!((grant.units, grant.standing.remaining), (2, 3));
}

/// What was said of a store that lets nobody in.
fn turned_away(store: &Store) -> String {
    let report = store.report();
    assert!(!report.up);
    report.error.unwrap().into()
}

#[tokio::test]
async fn a_password_lets_in_and_a_wrong_one_is_not_repeated() {
    let redis = Redis::with("requirepass hush\n").await;
    works(&store(&format!("{{redis: \"redis://:hush@{redis}\", timeout: 5s}}")).await).await;
    works(&store(&format!("{{redis: \"redis://{redis}/1\", password: hush, timeout: 5s}}")).await)
        .await;
    let wrong = store(&format!("{{redis: \"redis://:guess@{redis}\"}}")).await;
    let told = turned_away(&wrong);
    assert!(!told.contains("guess") && told.to_lowercase().contains("auth"), "{told}");
    let none = turned_away(&store(&format!("{{redis: \"redis://{redis}\"}}")).await);
    assert!(none.contains("NOAUTH"), "{none}");
}

#[tokio::test]
async fn a_user_needs_no_more_than_its_keys_and_scripts() {
    let redis = Redis::with(
        "user gate on >hush ~sluicegate:* ~key ~serves -@all +ping +eval +evalsha +time +@read \
         +@write\n",
    )
    .await;
    let settings = |password| {
        format!("{{redis: \"redis://{redis}\", username: gate, password: {password}, timeout: 5s}}")
    };
    let gate = store(&settings("hush")).await;
    works(&gate).await;
    let refused = gate.claim(&bucket(5), b"of-another", exactly(1)).await.unwrap_err();
    assert!(refused.to_string().contains("NOPERM"), "{refused}");
    assert!(gate.is_up(), "who may not is told so, and others may");
    let told = turned_away(&store(&settings("guess")).await);
    assert!(!told.contains("guess"), "{told}");
}

#[tokio::test]
async fn tls_is_checked_against_the_authority_that_is_named() {
    let authority = Authority::new();
    let redis = Redis::with(&format!(
        "tls-port <second>\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n\
         tls-auth-clients yes\n",
        authority.certificate().display(),
        authority.key().display(),
        authority.root().display()
    ))
    .await;
    let url = format!("rediss://localhost:{}", redis.second.port());
    let (root, cert, key) = (authority.root(), authority.certificate(), authority.key());
    let (root, cert, key) = (root.display(), cert.display(), key.display());
    let shown = format!("cert: {cert}, key: {key}");
    let known = format!("{{redis: \"{url}\", tls: {{ca: {root}, {shown}}}, timeout: 5s}}");
    works(&store(&known).await).await;
    let silent = format!("{{redis: \"{url}\", tls: {{ca: {root}}}}}");
    turned_away(&store(&silent).await);
    let other = Authority::new();
    let unknown = format!("{{redis: \"{url}\", tls: {{ca: {}, {shown}}}}}", other.root().display());
    let told = turned_away(&store(&unknown).await);
    assert!(told.to_lowercase().contains("certificate"), "{told}");
}

#[tokio::test]
async fn the_master_that_sentinels_choose_is_asked() {
    let mut master = Redis::start().await;
    let replica = Redis::replica_of(&master).await;
    let sentinel = Redis::sentinel_of(&master).await;
    let yaml = format!("{{sentinel: {{master: mymaster, nodes: [\"{sentinel}\"]}}, timeout: 5s}}");
    let store = store(&yaml).await;
    works(&store).await;
    assert_eq!(master.scripts_run().await, 2, "by its hash, and with its text");
    master.stop();
    serves(&store).await;
    assert!(replica.scripts_run().await > 0, "the replica is the master now");
    assert!(store.is_up());
}

#[tokio::test]
async fn all_nodes_of_a_cluster_are_asked_for_their_keys() {
    let nodes = Redis::cluster().await;
    let yaml = format!("{{redis: \"redis://{}\", cluster: true, timeout: 5s}}", nodes[0]);
    let store = store(&yaml).await;
    assert!(store.is_up(), "{:?}", store.report());
    for number in 0..30 {
        let key = store.key(&[format!("caller-{number}").as_bytes()]);
        assert_eq!(store.claim(&bucket(5), &key, exactly(4)).await.unwrap().units, 4);
        assert_eq!(store.claim(&bucket(5), &key, exactly(2)).await.unwrap().units, 0);
    }
    for node in &nodes {
        assert!(node.scripts_run().await > 0, "{node} was asked for nothing");
    }
}
