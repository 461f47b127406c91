//! Keys that are fetched: by discovery or from an address, kept while whoever has them is in
//! trouble, and asked for no more often than is good for it.

use super::{Fresh, assert_refused, claims, named, show};
use crate::support::{
    Behaviour, Client, Document, Gateway, Issuer, Keys, Origin, Setup, eventually,
};
use serde_json::json;
use sluicegate::jose::Algorithm;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An issuer with one key on P-256, whose name is `one`.
async fn issuer() -> Issuer {
    let issuer = Issuer::start().await;
    issuer.keys(&[Keys::ours().of(Algorithm::ES256).jwk("one")]);
    issuer
}

/// A gateway that takes the tokens of some issuers, each with these settings besides.
async fn gateway(origin: &Origin, issuers: &[(&Issuer, &str)]) -> Gateway {
    let jwt = |(issuer, settings): &(&Issuer, &str)| {
        format!("{{jwt: {{issuer: \"{}\", audience: api{settings}}}}}", issuer.url())
    };
    let ways: Vec<String> = issuers.iter().map(jwt).collect();
    let setup = Setup::one_route(&format!("auth: {{any_of: [{}]}}", ways.join(", ")));
    setup.with("app", origin.address()).start().await
}

#[tokio::test]
async fn keys_are_found_by_the_metadata_and_by_their_address() {
    let (origin, told, given) = (Origin::saying("hello").await, issuer().await, issuer().await);
    let address = format!(", jwks: \"{}\"", given.keys_url());
    let gateway = gateway(&origin, &[(&told, ""), (&given, &address)]).await;
    let mut client = gateway.connect().await;
    for issuer in [&told, &given] {
        let fresh = Fresh::of(&issuer.url(), "one", Keys::ours());
        for _ in 0..3 {
            assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
        }
        assert_eq!(issuer.asked(Document::Keys), 1);
        let forged = Fresh::of(&issuer.url(), "one", Keys::others()).token();
        assert_refused(&show(&mut client, &forged).await, "error=\"invalid_token\"");
        // A key may have changed and kept its name.
        assert_eq!(issuer.asked(Document::Keys), 2);
    }
    assert!(told.asked(Document::Discovery) >= 1);
    assert_eq!(given.asked(Document::Discovery), 0);
}

#[tokio::test]
async fn keys_that_are_withdrawn_verify_nothing() {
    let (origin, issuer) = (Origin::saying("hello").await, issuer().await);
    let gateway = gateway(&origin, &[(&issuer, ", refresh: 1s")]).await;
    let mut client = gateway.connect().await;
    let token = Fresh::of(&issuer.url(), "one", Keys::ours()).token();
    assert_eq!(show(&mut client, &token).await.status, 200);
    issuer.keys(&[]);
    eventually("the gateway to know of no key", async || {
        (show(&mut client, &token).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_stay_while_their_issuer_is_down() {
    let (origin, mut issuer) = (Origin::saying("hello").await, issuer().await);
    let gateway = gateway(&origin, &[(&issuer, ", refresh: 1s")]).await;
    let mut client = gateway.connect().await;
    let fresh = Fresh::of(&issuer.url(), "one", Keys::ours());
    assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
    issuer.stop().await;
    eventually("the gateway to see that the issuer is down", async || {
        assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
        gateway.said().contains("issuer has trouble").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
    }
    issuer.restart().await;
    eventually("the gateway to see that the issuer is back", async || {
        assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
        gateway.said().contains("issuer answers again").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_starts_before_its_issuer_says_503_and_needs_no_other_start() {
    let (origin, mut issuer) = (Origin::saying("hello").await, issuer().await);
    issuer.stop().await;
    let gateway = gateway(&origin, &[(&issuer, "")]).await;
    let fresh = Fresh::of(&issuer.url(), "one", Keys::ours());
    let mut client = gateway.connect().await;
    let response = show(&mut client, &fresh.token()).await;
    let problem = response.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("credentials cannot be checked"));
    assert!(response.get("retry-after").is_some());
    // Nobody has to be asked about a request that shows nothing.
    assert_refused(&client.get("/").await, "realm");
    issuer.restart().await;
    eventually("tokens to be good", async || {
        (show(&mut client, &fresh.token()).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_issuer_whose_metadata_name_another_gives_no_keys() {
    let (origin, issuer) = (Origin::saying("hello").await, issuer().await);
    let elsewhere = json!({"issuer": "https://other.example.com", "jwks_uri": issuer.keys_url()});
    issuer.discovery(elsewhere);
    let gateway = gateway(&origin, &[(&issuer, "")]).await;
    let token = Fresh::of(&issuer.url(), "one", Keys::ours()).token();
    show(&mut gateway.connect().await, &token).await.problem(503);
    assert_eq!(issuer.asked(Document::Keys), 0);
}

#[tokio::test]
async fn keys_stay_whatever_their_issuer_answers() {
    let origin = Origin::saying("hello").await;
    let says = |status, text: &str| Behaviour::Says(status, text.to_owned());
    let other = Keys::others().of(Algorithm::RS256).jwk("one");
    let cut = json!({"keys": [other]}).to_string();
    let bad = [
        says(500, "{\"keys\": []}"),
        says(404, ""),
        says(302, ""),
        says(200, ""),
        says(200, "<html>garbage"),
        says(200, "[]"),
        says(200, &cut[..cut.len() - 3]),
        says(200, &" ".repeat(4 << 20)),
        Behaviour::Hangs,
        Behaviour::Held,
    ];
    let mut issuers = Vec::new();
    for _ in &bad {
        issuers.push(issuer().await);
    }
    let all: Vec<(&Issuer, &str)> =
        issuers.iter().map(|issuer| (issuer, ", refresh: 1s")).collect();
    let gateway = gateway(&origin, &all).await;
    let mut client = gateway.connect().await;
    for (issuer, bad) in issuers.iter().zip(&bad) {
        issuer.was_asked(Document::Keys, 1).await;
        let token = Fresh::of(&issuer.url(), "one", Keys::ours()).token();
        assert_eq!(show(&mut client, &token).await.status, 200);
        issuer.behave(Document::Keys, bad.clone());
    }
    let asked: Vec<usize> = issuers.iter().map(|issuer| issuer.asked(Document::Keys)).collect();
    for ((issuer, asked), bad) in issuers.iter().zip(asked).zip(&bad) {
        // Nobody asks twice before the first question has its end.
        let more = if matches!(bad, Behaviour::Held) { 1 } else { 2 };
        issuer.was_asked(Document::Keys, asked + more).await;
        let token = Fresh::of(&issuer.url(), "one", Keys::ours()).token();
        assert_eq!(show(&mut client, &token).await.status, 200, "{bad:?}");
        let forged = named("one", Algorithm::RS256, Keys::others().of(Algorithm::RS256), &{
            claims(&issuer.url(), "api")
        });
        assert_refused(&show(&mut client, &forged).await, "error=\"invalid_token\"");
    }
}

#[tokio::test]
async fn made_up_names_of_keys_cost_the_issuer_little_and_others_nothing() {
    let (origin, issuer) = (Origin::saying("hello").await, issuer().await);
    let gateway = gateway(&origin, &[(&issuer, ", refresh: 1h")]).await;
    let fresh = Fresh::of(&issuer.url(), "one", Keys::ours());
    assert_eq!(show(&mut gateway.connect().await, &fresh.token()).await.status, 200);
    let began = Instant::now();
    let mut flood = JoinSet::new();
    for number in 0..64 {
        let (address, issuer) = (gateway.address, issuer.url());
        flood.spawn(async move {
            let mut client = Client::connect(address).await;
            for turn in 0..5 {
                let name = format!("{number}-{turn}");
                let token = Fresh::of(&issuer, &name, Keys::others()).token();
                assert_refused(&show(&mut client, &token).await, "error=\"invalid_token\"");
            }
        });
    }
    let mut client = gateway.connect().await;
    let mut slowest = Duration::ZERO;
    while !flood.is_empty() {
        let sent = Instant::now();
        assert_eq!(show(&mut client, &fresh.token()).await.status, 200);
        slowest = slowest.max(sent.elapsed());
        while let Some(done) = flood.try_join_next() {
            done.unwrap();
        }
    }
    assert!(slowest < Duration::from_secs(2), "a good token waited for {slowest:?}");
    // The first, eight that may follow each other at once, and one in each second from then on.
    let most = 1 + 8 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let asked = issuer.asked(Document::Keys);
    assert!(asked <= most, "asked {asked} times in {:?}", began.elapsed());
}
