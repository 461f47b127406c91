//! An introspection endpoint that does whatever a test wants: what is asked of it, and what becomes
//! of its answers.

use crate::jwt::{assert_refused, show};
use crate::support::{
    Behaviour, Client, Document, Gateway, Issuer, Origin, Setup, eventually, now, within,
};
use serde_json::json;
use tokio::task::JoinSet;

/// A gateway that asks an issuer about tokens, with these settings besides.
async fn gateway(issuer: &Issuer, origin: &Origin, settings: &str) -> Gateway {
    let setup = Setup::one_route(&format!(
        "auth: {{introspection: {{issuer: \"{}\", client: gw, secret: pa55{settings}}}}}",
        issuer.url()
    ));
    setup.with("app", origin.address()).threads(2).start().await
}

#[tokio::test]
async fn one_question_is_asked_for_all_who_show_a_token_at_once() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    issuer.asks_for_client("gw", "pa55");
    issuer.knows("opaque", json!({"sub": "alice", "exp": now() + 600}));
    let gateway = gateway(&issuer, &origin, "").await;
    issuer.behave(Document::Introspection, Behaviour::Held);
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let address = gateway.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..3 {
                assert_eq!(show(&mut client, "opaque").await.status, 200);
            }
        });
    }
    issuer.was_asked(Document::Introspection, 1).await;
    issuer.behave(Document::Introspection, Behaviour::Well);
    while let Some(client) = within("an answer", clients.join_next()).await {
        client.unwrap();
    }
    let asked = issuer.requests(Document::Introspection);
    assert_eq!(asked.len(), 1);
    let body = String::from_utf8(asked[0].body.clone()).unwrap();
    assert!(body.contains("token=opaque") && !asked[0].target.contains("opaque"), "{body}");
}

#[tokio::test]
async fn an_answer_counts_no_longer_than_the_token() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    let end = now() + 2;
    issuer.knows("opaque", json!({"sub": "alice", "exp": end}));
    let gateway = gateway(&issuer, &origin, ", cache: 1h").await;
    let mut client = gateway.connect().await;
    let mut good = 0;
    let response = eventually("the token's end", async || {
        let before = now();
        let response = show(&mut client, "opaque").await;
        if response.status != 200 {
            return Some(response);
        }
        assert!(before < end, "good {} seconds after its end", before - end);
        good += 1;
        None
    })
    .await;
    assert!(now() >= end && good > 1, "{good}");
    assert_refused(&response, "error=\"invalid_token\"");
}

#[tokio::test]
async fn only_an_answer_that_is_one_decides() {
    let origin = Origin::saying("hello").await;
    let issuer = Issuer::start().await;
    let gateway = gateway(&issuer, &origin, ", audience: api, timeout: 500ms").await;
    let mut client = gateway.connect().await;
    let says = |status, text: &str| Behaviour::Says(status, text.to_owned());
    for (number, bad) in [
        says(500, "{\"active\":true,\"aud\":\"api\"}"),
        says(401, "{\"active\":false}"),
        says(403, ""),
        says(302, ""),
        says(204, ""),
        says(200, ""),
        says(200, "true"),
        says(200, "<html>"),
        says(200, "{}"),
        says(200, "{\"active\":\"true\",\"aud\":\"api\"}"),
        says(200, "{\"active\":1,\"aud\":\"api\"}"),
        says(200, "{\"active\":true,\"aud\":\"api\""),
        says(200, "{\"active\":false,\"active\":true,\"aud\":\"api\"}"),
        Behaviour::Hangs,
        Behaviour::Held,
    ]
    .into_iter()
    .enumerate()
    {
        issuer.behave(Document::Introspection, bad.clone());
        let response = show(&mut client, &format!("token-{number}")).await;
        assert_eq!(response.status, 503, "{bad:?}: {}", response.text());
        response.problem(503);
    }
    issuer.behave(Document::Introspection, Behaviour::Well);
    let known = [
        ("good", json!({"aud": "api"}), true),
        ("one of two", json!({"aud": ["web", "api"]}), true),
        ("its own", json!({"aud": "api", "iss": issuer.url()}), true),
        ("of nobody", json!({}), false),
        ("for another", json!({"aud": "web"}), false),
        ("by another", json!({"aud": "api", "iss": "https://other.example.com"}), false),
        ("ended", json!({"aud": "api", "exp": now() - 60}), false),
        ("not yet", json!({"aud": "api", "nbf": now() + 60}), false),
        ("bound", json!({"aud": "api", "cnf": {"jkt": "x"}}), false),
        ("inactive", json!({"active": false, "aud": "api"}), false),
    ];
    for (name, said, is_good) in known {
        let token = name.replace(' ', "-");
        issuer.knows(&token, said);
        let response = show(&mut client, &token).await;
        match is_good {
            true => assert_eq!(response.status, 200, "{name}: {}", response.text()),
            false => assert_refused(&response, "error=\"invalid_token\""),
        }
    }
    assert_eq!(origin.requests().len(), 3);
}
