//! Secrets stand in nothing that the gateway ever writes, however much it is asked to say.

use super::{argon2id, basic, request, sha256, with};
use crate::support::{
    Behaviour, Document, Gateway, Issuer, Origin, Response, Setup, check, gateway_command, now,
};
use aws_lc_rs::hmac;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

const JWT: &str = "hush-of-the-tokens-0123456789-0123456789";
const CLIENT: &str = "hush-of-the-client";
const KEY: &str = "hush-of-acme";
const OTHER_KEY: &str = "hush-of-somebody";
const PASSWORD: &str = "hush-of-ops";
const OPAQUE: &str = "hush-that-is-opaque";
const COOKIE: &str = "hush-in-a-cookie";

const DOCUMENT: &str = r#"
consumers:
  - {name: acme, credentials: {api_key_sha256: "<key>"}}
  - {name: ops, credentials: {basic: {user: ops, hash: "<hash>"}}}
services: {app: {url: "http://<app>"}}
routes:
  - name: all
    match: {path: {prefix: /}}
    service: app
    policies:
      auth:
        any_of:
          - jwt: {issuer: test, secret: <secret>}
          - introspection: {issuer: "<issuer>", endpoint: "<endpoint>", client: gw, secret: <client>}
          - api_key: {from: [header.x-api-key, cookie.key, query.key]}
          - basic: {}
"#;

/// A token that is signed with the secret of these tests.
fn token(claims: &serde_json::Value) -> String {
    let input = format!(
        "{}.{}",
        crate::support::encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        crate::support::encode(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, JWT.as_bytes());
    format!("{input}.{}", crate::support::encode(hmac::sign(&key, input.as_bytes())))
}

/// Everything that a gateway has written.
async fn written(gateway: &Gateway, lines: usize) -> String {
    let log = gateway.access_log(lines).await;
    let log = log.iter().map(ToString::to_string).collect::<String>();
    let stdout = fs::read_to_string(gateway.folder().join("stdout")).unwrap();
    let mut all = format!("{log}{stdout}{}{}", gateway.said(), gateway.metrics().await.0);
    let file = gateway.folder().join("gateway.yaml");
    all += &check(&file).1;
    for arguments in
        [&["check", "--format", "json"][..], &["routes"], &["routes", "--format", "json"]]
    {
        let output = gateway_command().args(arguments).arg(&file).output().unwrap();
        all += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    }
    // A mistake elsewhere in the file has no part of it shown that is secret.
    let broken = gateway.folder().join("broken.yaml");
    let text = fs::read_to_string(&file).unwrap();
    for (good, bad) in [
        ("basic: {}", "basic: {x: 1}"),
        ("client: gw", "clint: gw"),
        ("issuer: test", "issuer: []"),
        ("user: ops,", "usr: ops,"),
    ] {
        fs::write(&broken, text.replacen(good, bad, 1)).unwrap();
        let (passed, said) = check(&broken);
        assert!(!passed, "{bad}");
        all += &said;
    }
    all
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_gateway_writes() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    issuer.knows(OPAQUE, json!({"sub": "opal"}));
    issuer.asks_for_client("gw", CLIENT);
    let (key_hash, hash) = (sha256(KEY), argon2id(PASSWORD));
    let gateway = Setup::new(DOCUMENT)
        .with("app", &origin)
        .with("key", &key_hash)
        .with("hash", &hash)
        .with("secret", JWT)
        .with("client", CLIENT)
        .with("issuer", issuer.url())
        .with("endpoint", issuer.introspection_url())
        .access_log("headers: [authorization, cookie]")
        .environment("SLUICEGATE_LOG", PathBuf::from("trace"))
        .start()
        .await;
    let claims =
        json!({"iss": "test", "sub": "alice", "email": "alice@hush.example", "exp": now() + 600});
    let good = token(&claims);
    let expired = token(&json!({"iss": "test", "sub": "alice", "exp": 1_000_000_000}));
    let (start, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{start}.{first}{}", &signature[1..]);
    let ops = basic(format!("ops:{PASSWORD}"));
    let wrong = basic("ops:hush-but-wrong");
    let requests = [
        (with("/", &format!("Bearer {good}")), 200),
        (with("/", &format!("Bearer {expired}")), 401),
        (with("/", &format!("Bearer {forged}")), 401),
        (with("/", &format!("Bearer {OPAQUE}")), 200),
        (with("/", &format!("Bearer {OPAQUE}, x")), 401),
        (with("/", &ops), 200),
        (with("/", &wrong), 401),
        (request("/", &format!("X-API-Key: {KEY}\r\n")), 200),
        (request("/", &format!("X-API-Key: {OTHER_KEY}\r\n")), 401),
        (request("/", &format!("X-API-Key: {KEY}\r\nX-API-Key: {OTHER_KEY}\r\n")), 400),
        (request("/", &format!("Cookie: key={KEY}\r\n")), 200),
        (request("/", &format!("Cookie: key={COOKIE}\r\n")), 401),
        (request(&format!("/?key={KEY}"), ""), 200),
        (request(&format!("/?k%65y={OTHER_KEY}"), ""), 401),
    ];
    let mut answers = String::new();
    let mut note = |response: &Response| {
        answers += &format!("{:?}{}", response.head, String::from_utf8_lossy(&response.body));
    };
    for (request, status) in &requests {
        let response = gateway.request(request).await;
        assert_eq!(response.status, *status, "{request}");
        note(&response);
    }
    // What cannot be decided has a reason of its own.
    issuer.behave(Document::Introspection, Behaviour::Says(500, format!("no {OPAQUE}")));
    let response = gateway.request(&with("/", &format!("Bearer {OPAQUE}-2"))).await;
    assert_eq!(response.status, 503);
    note(&response);
    let all = format!("{}{answers}", written(&gateway, requests.len() + 1).await);
    assert!(all.contains("DEBUG") || all.contains("TRACE"), "it was asked to say all it can");
    let parts = |token: &str| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let mut secrets: Vec<String> =
        [JWT, CLIENT, KEY, OTHER_KEY, PASSWORD, OPAQUE, COOKIE, "hush", &key_hash, &hash]
            .map(str::to_owned)
            .into();
    secrets.extend([&good, &expired, &forged].into_iter().flat_map(|token| parts(token)));
    secrets.extend([&ops, &wrong].map(|value| value["Basic ".len()..].to_owned()));
    for secret in secrets {
        if let Some(place) = all.find(&secret) {
            let from = all[..place].rfind('\n').map_or(0, |line| line + 1);
            let line: String = all[from..].chars().take(600).collect();
            panic!("{secret} stands in {line}");
        }
    }
}
