//! Keys that change: new ones count at once, and ones that are gone no longer.

use super::{Fresh, assert_refused, show};
use crate::support::{Client, Document, Issuer, Keys, Origin, Setup, eventually};
use sluicegate::jose::Algorithm;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// A gateway that takes an issuer's tokens.
fn setup(issuer: &Issuer, refresh: &str, origin: &Origin) -> Setup {
    let setup = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: \"{}\", audience: api, refresh: {refresh}}}}}",
        issuer.url()
    ));
    setup.with("app", origin.address())
}

/// Changes an issuer's keys while eight clients show tokens without a pause, those of the new key
/// from that moment on; no request may fail. Tokens name their key, or do not.
async fn keys_change_under_load(is_named: bool) {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    let old = Keys::ours().of(Algorithm::ES256).jwk("old");
    let new = Keys::spare().of(Algorithm::ES256).jwk("new");
    issuer.keys(std::slice::from_ref(&old));
    let gateway = setup(&issuer, "1h", &origin).threads(2).start().await;
    let (changed, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (address, issuer) = (gateway.address, issuer.url());
        let (changed, done) = (Arc::clone(&changed), Arc::clone(&done));
        clients.spawn(async move {
            let [old, new] = if is_named { ["old", "new"] } else { ["", ""] };
            let before = Fresh::of(&issuer, old, Keys::ours());
            let after = Fresh::of(&issuer, new, Keys::spare());
            let again = before.token();
            let mut client = Client::connect(address).await;
            let mut shown = async |token: &str| {
                let response = show(&mut client, token).await;
                assert_eq!(response.status, 200, "{}", response.text());
                done.fetch_add(1, Ordering::Relaxed);
            };
            while !changed.load(Ordering::Acquire) {
                shown(&before.token()).await;
            }
            for _ in 0..25 {
                shown(&after.token()).await;
                shown(&before.token()).await;
                shown(&again).await;
            }
        });
    }
    eventually("requests", async || (done.load(Ordering::Relaxed) > 200).then_some(())).await;
    issuer.keys(&[old, new]);
    changed.store(true, Ordering::Release);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    // All who wait for the new key wait for one answer.
    assert_eq!(issuer.asked(Document::Keys), 2);
}

#[tokio::test]
async fn no_request_fails_while_keys_change_under_load() {
    keys_change_under_load(true).await;
}

#[tokio::test]
async fn no_request_fails_while_keys_without_names_change_under_load() {
    keys_change_under_load(false).await;
}

#[tokio::test]
async fn a_token_of_a_key_that_is_gone_is_refused_although_it_was_good() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    let old = Keys::ours().of(Algorithm::ES256).jwk("old");
    let new = Keys::spare().of(Algorithm::ES256).jwk("new");
    issuer.keys(&[old, new.clone()]);
    let gateway = setup(&issuer, "1s", &origin).start().await;
    let mut client = gateway.connect().await;
    let before = Fresh::of(&issuer.url(), "old", Keys::ours()).token();
    let after = Fresh::of(&issuer.url(), "new", Keys::spare()).token();
    for token in [&before, &after, &before, &after] {
        assert_eq!(show(&mut client, token).await.status, 200);
    }
    issuer.keys(&[new]);
    let response = eventually("the key to be gone", async || {
        assert_eq!(show(&mut client, &after).await.status, 200);
        Some(show(&mut client, &before).await).filter(|response| response.status != 200)
    })
    .await;
    assert_refused(&response, "error=\"invalid_token\"");
    assert_refused(&show(&mut client, &before).await, "error=\"invalid_token\"");
    assert_eq!(show(&mut client, &after).await.status, 200);
}

#[tokio::test]
async fn a_key_that_another_took_the_name_of_is_gone() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    issuer.keys(&[Keys::ours().of(Algorithm::ES256).jwk("one")]);
    let gateway = setup(&issuer, "1s", &origin).start().await;
    let mut client = gateway.connect().await;
    let before = Fresh::of(&issuer.url(), "one", Keys::ours()).token();
    let after = Fresh::of(&issuer.url(), "one", Keys::spare()).token();
    assert_eq!(show(&mut client, &before).await.status, 200);
    issuer.keys(&[Keys::spare().of(Algorithm::ES256).jwk("one")]);
    eventually("the other key", async || {
        (show(&mut client, &after).await.status == 200).then_some(())
    })
    .await;
    assert_refused(&show(&mut client, &before).await, "error=\"invalid_token\"");
}

#[tokio::test]
async fn a_token_that_names_no_key_is_good_by_a_key_that_is_new() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    issuer.keys(&[Keys::ours().of(Algorithm::ES256).jwk("old")]);
    let gateway = setup(&issuer, "1h", &origin).start().await;
    let mut client = gateway.connect().await;
    let token = Fresh::of(&issuer.url(), "", Keys::spare()).token();
    assert_refused(&show(&mut client, &token).await, "error=\"invalid_token\"");
    issuer.keys(&[Keys::spare().of(Algorithm::ES256).jwk("new")]);
    assert_eq!(show(&mut client, &token).await.status, 200);
}
