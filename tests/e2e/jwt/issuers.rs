//! Several issuers on one route: each is good for its own keys, algorithms and audience only.

use super::{assert_refused, bearing, claims, show};
use crate::support::{Document, Gateway, Issuer, Keys, Origin, Setup, forge, now, token};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// An issuer, the one algorithm of its tokens, and whom they are for.
const ISSUERS: [(&str, Algorithm, &str); 4] = [
    ("https://a.example.com", Algorithm::ES256, "shop"),
    ("https://b.example.com", Algorithm::EdDSA, "bank"),
    ("https://c.example.com", Algorithm::PS384, "mail"),
    ("internal", Algorithm::HS512, "jobs"),
];

/// A gateway before `origin` that knows all of them.
async fn gateway(origin: &Origin) -> Gateway {
    let files = Keys::ours().files();
    let way = |(issuer, algorithm, audience): &(&str, Algorithm, &str)| {
        let key = match algorithm {
            Algorithm::HS512 => format!("secret: \"$(file:{})\"", files.secret().display()),
            // One that has a key set in a file, others that have a key in PEM.
            Algorithm::EdDSA => {
                let set = json!({"keys": [Keys::ours().of(*algorithm).jwk("main")]});
                format!("jwks: {}", files.add("set.json", set.to_string()).display())
            }
            _ => format!("public_key: {}", files.public(*algorithm).display()),
        };
        format!(
            "{{jwt: {{issuer: \"{issuer}\", algorithms: {algorithm}, audience: {audience}, {key}}}}}"
        )
    };
    let ways: Vec<String> = ISSUERS.iter().map(way).collect();
    let setup = Setup::one_route(&format!("auth: {{any_of: [{}]}}", ways.join(", ")));
    setup.with("app", origin.address()).start().await
}

#[tokio::test]
async fn each_issuer_is_good_for_its_own_tokens_only() {
    let origin = Origin::saying("hello").await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.connect().await;
    for (issuer, algorithm, audience) in ISSUERS {
        for (other, signed_with, whom) in ISSUERS {
            // The issuer's name with the other's key, the other's audience, or both.
            for (signed_with, whom) in
                [(signed_with, whom), (algorithm, whom), (signed_with, audience)]
            {
                let token = token(signed_with, &claims(issuer, whom));
                let response = show(&mut client, &token).await;
                match issuer == other || (signed_with, whom) == (algorithm, audience) {
                    true => assert_eq!(response.status, 200, "{issuer}"),
                    false => assert_refused(&response, "error=\"invalid_token\""),
                }
            }
        }
        let stranger = Keys::others().of(algorithm);
        let header = json!({"alg": algorithm.name()}).to_string();
        let claims = claims(issuer, audience).to_string();
        let token = forge(header, claims, algorithm.name(), stranger);
        assert_refused(&show(&mut client, &token).await, "error=\"invalid_token\"");
    }
}

#[tokio::test]
async fn a_token_of_an_issuer_that_nobody_knows_is_refused_without_asking_anybody() {
    let (origin, issuer) = (Origin::saying("hello").await, Issuer::start().await);
    issuer.keys(&[Keys::ours().of(Algorithm::ES256).jwk("main")]);
    let gateway = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: \"{}\", audience: api, refresh: 1h}}}}",
        issuer.url()
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    issuer.was_asked(Document::Keys, 1).await;
    let mut client = gateway.connect().await;
    for stranger in ["https://evil.example.com", "", &format!("{}/", issuer.url())] {
        let token = token(Algorithm::ES256, &claims(stranger, "api"));
        assert_refused(&show(&mut client, &token).await, "error=\"invalid_token\"");
    }
    assert_eq!(issuer.asked(Document::Keys), 1);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn an_issuer_may_have_tokens_for_several_audiences_on_one_route() {
    let (origin, files) = (Origin::saying("hello").await, Keys::ours().files());
    let way = |audience: &str, leeway: u64| {
        format!(
            "{{jwt: {{issuer: internal, audience: {audience}, leeway: {leeway}s, \
             secret: \"$(file:{})\"}}}}",
            files.secret().display()
        )
    };
    let ways = [way("shop", 0), way("bank", 60), way("mail", 0)].join(", ");
    let setup = Setup::one_route(&format!("auth: {{any_of: [{ways}]}}"));
    let gateway = setup.with("app", origin.address()).start().await;
    let mut client = gateway.connect().await;
    let ended = |audience: &str| {
        let mut claims = claims("internal", audience);
        claims["exp"] = json!(now() - 10);
        token(Algorithm::HS256, &claims)
    };
    for _ in 0..2 {
        for audience in ["shop", "bank", "mail"] {
            let good = token(Algorithm::HS256, &claims("internal", audience));
            assert_eq!(show(&mut client, &good).await.status, 200, "{audience}");
        }
        // Each by its own rules: a minute is no time at the bank.
        assert_eq!(show(&mut client, &ended("bank")).await.status, 200);
        assert_refused(&show(&mut client, &ended("shop")).await, "the token has expired");
        assert_refused(&show(&mut client, &ended("mail")).await, "the token has expired");
        let other = token(Algorithm::HS256, &claims("internal", "other"));
        assert_refused(&show(&mut client, &other).await, "the token is not valid");
    }
}

#[tokio::test]
async fn what_one_source_of_keys_cannot_say_is_not_refused_because_another_says_no() {
    let (origin, mut down) = (Origin::saying("hello").await, Issuer::start().await);
    let key = Keys::ours().of(Algorithm::ES256).jwk("main");
    down.keys(&[key]);
    down.stop().await;
    let files = Keys::others().files();
    let gateway = Setup::one_route(&format!(
        "auth: {{any_of: [\
         {{jwt: {{issuer: one, audience: api, algorithms: ES256, jwks: \"{}\"}}}}, \
         {{jwt: {{issuer: one, audience: api, public_key: {}}}}}]}}",
        down.keys_url(),
        files.public(Algorithm::ES256).display()
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    let token = token(Algorithm::ES256, &claims("one", "api"));
    show(&mut gateway.connect().await, &token).await.problem(503);
    let theirs = Keys::others().of(Algorithm::ES256);
    let theirs = forge("{\"alg\":\"ES256\"}", claims("one", "api").to_string(), "ES256", theirs);
    assert_eq!(show(&mut gateway.connect().await, &theirs).await.status, 200);
}

#[tokio::test]
async fn what_one_who_is_asked_cannot_say_is_not_refused_because_another_says_no() {
    let (origin, mut down, up) =
        (Origin::saying("hello").await, Issuer::start().await, Issuer::start().await);
    down.stop().await;
    up.knows("theirs", json!({"sub": "alice"}));
    let way = |issuer: &Issuer| {
        format!(
            "{{introspection: {{issuer: \"{}\", endpoint: \"{}\", client: gateway, secret: any}}}}",
            issuer.url(),
            issuer.introspection_url()
        )
    };
    for ways in [[way(&down), way(&up)], [way(&up), way(&down)]] {
        let setup = Setup::one_route(&format!("auth: {{any_of: [{}]}}", ways.join(", ")));
        let gateway = setup.with("app", origin.address()).start().await;
        let mut client = gateway.connect().await;
        show(&mut client, "nobodys").await.problem(503);
        assert_eq!(show(&mut client, "theirs").await.status, 200);
    }
}

#[tokio::test]
async fn services_are_told_whose_the_token_is_and_not_the_token() {
    let (origin, files) = (Origin::saying("hello").await, Keys::ours().files());
    let gateway = Setup::new(&format!(
        r#"
identity:
  headers: {{x-user-id: $(identity.sub), x-user-roles: $(identity.roles), x-user-email: $(identity.email)}}
policies: {{auth: {{jwt: {{issuer: internal, audience: api, roles: realm.roles, secret: "$(file:{})"}}}}}}
services:
  app: {{url: "http://<app>"}}
routes:
  - {{name: admin, match: {{path: {{prefix: /admin}}}}, service: app, policies: {{authorize: {{all: ["role:admin"]}}}}}}
  - {{name: public, match: {{path: {{prefix: /health}}}}, service: app, policies: {{auth: none}}}}
  - {{name: all, match: {{path: {{prefix: /}}}}, service: app}}
"#,
        files.secret().display()
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    let mut claims: Value = claims("internal", "api");
    claims["email"] = "alice@example.com".into();
    claims["realm"] = json!({"roles": ["reader", "writer"]});
    let alice = token(Algorithm::HS256, &claims);
    let mut client = gateway.connect().await;
    let spoofed = "x-user-id: root\r\nX-User-Roles: admin\r\nx-user-email: a@b\r\n\r\n";
    let request = |path: &str| bearing(path, &alice).replacen("\r\n\r\n", "\r\n", 1) + spoofed;
    for _ in 0..2 {
        assert_eq!(client.request(&request("/")).await.status, 200);
        let seen = origin.last();
        assert_eq!(seen.get("x-user-id"), Some("alice"));
        assert_eq!(seen.get("x-user-email"), Some("alice@example.com"));
        let roles = seen.get("x-user-roles").unwrap();
        assert!(roles.contains("reader") && roles.contains("writer"), "{roles}");
        assert!(!roles.contains("admin"), "{roles}");
        assert_eq!(seen.get("authorization"), None);
        client.request(&request("/admin")).await.problem(403);
    }
    let request = format!("GET /health HTTP/1.1\r\nHost: gateway.test\r\n{spoofed}");
    assert_eq!(client.request(&request).await.status, 200);
    let seen = origin.last();
    for name in ["x-user-id", "x-user-roles", "x-user-email"] {
        assert_eq!(seen.get(name), None);
    }
    assert_eq!(origin.requests().len(), 3);
}
