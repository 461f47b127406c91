//! Where a token may stand, and what becomes of it there.

use super::claims;
use crate::support::{Gateway, Keys, Origin, Response, Setup, token};
use sluicegate::jose::Algorithm;

/// A gateway that looks for tokens at these places, or only in `Authorization` without any.
async fn gateway(origin: &Origin, from: &str) -> Gateway {
    let files = Keys::ours().files();
    let setup = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: internal, audience: api, secret: \"$(file:{})\"{from}}}}}",
        files.secret().display()
    ));
    setup.with("app", origin.address()).start().await
}

async fn ask(gateway: &Gateway, target: &str, fields: &[&str]) -> Response {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let request = format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n");
    gateway.request(&request).await
}

fn token_of(subject: &str) -> String {
    let mut claims = claims("internal", "api");
    claims["sub"] = subject.into();
    token(Algorithm::HS256, &claims)
}

const ALL: &str = ", from: [header.authorization, cookie.session, query.access_token]";

#[tokio::test]
async fn a_token_counts_only_where_it_may_stand() {
    let origin = Origin::saying("hello").await;
    let (gateway, token) = (gateway(&origin, "").await, token_of("alice"));
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(ask(&gateway, "/", &[&bearer]).await.status, 200);
    let cookie = format!("Cookie: session={token}");
    let missing = "Bearer realm=\"sluicegate\"";
    for (target, fields) in [
        ("/", vec![cookie.as_str()]),
        (&format!("/?access_token={token}"), vec![]),
        ("/", vec![&*format!("X-Token: {token}")]),
    ] {
        let response = ask(&gateway, target, &fields).await;
        response.problem(401);
        assert_eq!(response.get("www-authenticate"), Some(missing), "{target} {fields:?}");
    }
}

#[tokio::test]
async fn a_token_counts_at_each_place_that_is_named_and_goes_no_further() {
    let origin = Origin::saying("hello").await;
    let (gateway, token) = (gateway(&origin, ALL).await, token_of("alice"));
    let (bearer, cookie) =
        (format!("Authorization: bearer {token}"), format!("Cookie: a=b; session={token}; c=d"));
    assert_eq!(ask(&gateway, "/?x=1", &[&bearer]).await.status, 200);
    assert_eq!(origin.last().get("authorization"), None);
    assert_eq!(ask(&gateway, "/?x=1", &[&cookie]).await.status, 200);
    assert_eq!(origin.last().get("cookie"), Some("a=b; c=d"));
    let target = format!("/?x=1&access_token={token}&y=2");
    assert_eq!(ask(&gateway, &target, &[]).await.status, 200);
    assert_eq!(origin.last().target, "/?x=1&y=2");
    // At all of them at once it is still one token.
    assert_eq!(ask(&gateway, &target, &[&bearer, &cookie]).await.status, 200);
    let seen = origin.last();
    assert_eq!((&*seen.target, seen.get("cookie")), ("/?x=1&y=2", Some("a=b; c=d")));
    assert!(!format!("{seen:?}").contains(&token), "{seen:?}");
}

#[tokio::test]
async fn two_tokens_in_one_request_are_a_bad_request() {
    let origin = Origin::saying("hello").await;
    let (gateway, alice, bob) = (gateway(&origin, ALL).await, token_of("alice"), token_of("bob"));
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let cookie = |token: &str| format!("Cookie: session={token}");
    let query = |token: &str| format!("/?access_token={token}");
    for (target, fields) in [
        ("/".to_owned(), vec![bearer(&alice), cookie(&bob)]),
        (query(&alice), vec![bearer(&bob)]),
        (query(&alice), vec![cookie(&bob)]),
        (query(&alice), vec![bearer(&alice), cookie(&bob)]),
        ("/".to_owned(), vec![bearer(&alice), cookie("garbage")]),
        // What stands at one place twice is refused even where it is the same.
        ("/".to_owned(), vec![bearer(&alice), bearer(&alice)]),
        ("/".to_owned(), vec![format!("{}; session={alice}", cookie(&alice))]),
        ("/".to_owned(), vec![cookie(&alice), cookie(&alice)]),
        (format!("{}&access_token={alice}", query(&alice)), vec![]),
        (format!("{}&acc%65ss_token={bob}", query(&alice)), vec![]),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let response = ask(&gateway, &target, &fields).await;
        assert_eq!(response.status, 400, "{target} {fields:?}: {}", response.text());
        let challenge = response.get("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
    }
    assert_eq!(origin.requests().len(), 0);
}
