//! Users and passwords (RFC 7617), and what checking them costs others.

use super::{OPS, ZOE, basic, bcrypt_of, gateway, with};
use crate::support::{Client, Gateway, Origin, Setup, within};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_user_with_its_password_is_a_consumer_by_either_hash() {
    let (gateway, origin) = gateway().await;
    let ops = gateway.request(&with("/basic", &basic(format!("ops:{OPS}")))).await;
    assert_eq!(ops.status, 200);
    let seen = origin.last();
    let told = ["x-user-id", "x-consumer", "x-tier", "x-roles", "authorization"];
    let ops = Some("ops");
    assert_eq!(
        told.map(|name| seen.get(name)),
        [ops, ops, Some("enterprise"), Some("admin"), None]
    );
    let zoe = gateway.request(&with("/basic", &basic(format!("zo\u{eb}:{ZOE}")))).await;
    assert_eq!(zoe.status, 200);
    let seen = origin.last();
    assert_eq!((seen.get("x-user-id"), seen.get("x-consumer")), (Some("zo\u{eb}"), Some("zoe")));
    let lines = gateway.access_log(2).await;
    assert_eq!((&lines[1]["consumer"], &lines[1]["subject"]), (&"zoe".into(), &"zo\u{eb}".into()));
}

#[tokio::test]
async fn anything_else_is_refused_in_the_same_words() {
    let (gateway, origin) = gateway().await;
    let mut said = Vec::new();
    let texts: [&[u8]; 12] = [
        b"ops:wrong",
        b"ops:open",
        b"ops:open:sesame ",
        b"ops:",
        b"OPS:open:sesame",
        b"nobody:open:sesame",
        b":open:sesame",
        b"ops",
        b"",
        b"ops:\xff\xfe",
        b"ops:open:sesame\0",
        b"zo\xeb:p\xe4ssw\xf6rd",
    ];
    let good = basic(format!("ops:{OPS}"));
    let malformed =
        ["Basic", "Basic ", "Basic !!!!", "Basic b3Bz", "Basic b3BzOg", "Basic b3BzOm9wZW4=="];
    let malformed = malformed.map(str::to_owned).into_iter().chain([
        format!("{good}="),
        format!("{good} x"),
        good.replace("Basic ", "Basic \""),
        good[..good.len() - 1].to_owned(),
    ]);
    for value in texts.map(basic).into_iter().chain(malformed) {
        let response = gateway.request(&with("/basic", &value)).await;
        let mut problem = response.problem(401);
        let challenge = response.get("www-authenticate").map(str::to_owned);
        assert_eq!(challenge.as_deref(), Some("Basic realm=\"partners\", charset=\"UTF-8\""));
        problem["requestId"] = "".into();
        said.push((value, problem));
    }
    assert!(said.iter().all(|(_, problem)| *problem == said[0].1), "{said:?}");
    assert_eq!(said[0].1["type"], "urn:x-sluicegate:problem:credentials-invalid");
    assert_eq!(origin.requests().len(), 0);
}

/// A route whose one password takes long to check and is none that anybody knows, and another
/// route.
const SLOW: &str = r#"
consumers: [{name: ops, credentials: {basic: {user: ops, hash: "<hash>"}}}]
services: {app: {url: "http://<app>"}}
routes:
  - {name: slow, match: {path: {prefix: /slow}}, service: app, policies: {auth: {basic: {}}}}
  - {name: quick, match: {path: {prefix: /quick}}, service: app, policies: {auth: none}}
"#;

async fn slow() -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    // What a hash costs stands in it.
    let hash = bcrypt_of("sesame", 4).replacen("$04$", "$12$", 1);
    (Setup::new(SLOW).with("app", &origin).with("hash", hash).start().await, origin)
}

#[tokio::test]
async fn a_hash_that_takes_long_holds_nobody_else_up() {
    let (gateway, _origin) = slow().await;
    let mut waiting = gateway.connect().await;
    waiting.send(with("/slow", &basic("ops:wrong"))).await;
    let mut other = gateway.connect().await;
    for _ in 0..20 {
        assert_eq!(other.get("/quick").await.status, 200);
    }
    waiting.response().await.problem(401);
    let lines = gateway.access_log(21).await;
    let last = lines.iter().position(|line| line["route"] == "slow");
    assert_eq!(last, Some(20), "the one that took long was not the last to be done");
}

#[tokio::test]
async fn where_too_many_passwords_wait_the_next_is_told_to_come_back() {
    let (gateway, origin) = slow().await;
    let mut asking = JoinSet::new();
    for number in 0..120 {
        let address = gateway.address;
        asking.spawn(async move {
            let request = with("/slow", &basic(format!("ops:wrong-{number}")));
            Client::connect(address).await.request(&request).await
        });
    }
    // Those that wait are not waited for.
    let response = within("a refusal", async {
        loop {
            let response = asking.join_next().await.expect("one is refused").unwrap();
            if response.status != 401 {
                return response;
            }
        }
    })
    .await;
    let problem = response.problem(503);
    assert_eq!(problem["detail"], "credentials cannot be checked at present");
    assert_eq!((response.get("retry-after"), problem["retryAfter"].as_u64()), (Some("2"), Some(2)));
    assert_eq!(response.get("www-authenticate"), None);
    assert_eq!(gateway.get("/quick").await.status, 200);
    assert_eq!(origin.requests().len(), 1);
}
