//! A signed token tells services who is asking, and they check it with the gateway's keys.

use crate::support::{Gateway, Keys, Origin, Response, Seen, Setup, check, eventually};
use http::{HeaderMap, Request};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm as Known, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// Routes of all kinds before a service that trusts no network.
const DOCUMENT: &str = r#"
policies: {auth: none}
identity:
  headers: {x-user-id: $(identity.sub)}
  jwks: /.well-known/jwks.json
  token: {<token>, issuer: "https://gateway.test", audience: <audience>, ttl: <ttl>, claims: {email: $(identity.email), tenant: t-$(identity.tenant), age: $(identity.age), plan: $(consumer.tier)}}
consumers:
  - {name: acme, tier: gold, roles: [partner], credentials: {api_key_sha256: [7ec5fb36da637f4509d403144fd2efd5e4afcc3e147f6c2e3efa4de2f615f4cb], jwt_sub: [acme-app]}}
services:
  app: {url: "http://<app>"}
routes:
  - name: own-host
    match: {hosts: [api.test], path: {prefix: /}}
    service: app
  - name: keys
    match: {path: {prefix: /keys}}
    service: app
    policies: {auth: {api_key: {from: [header.x-api-key]}}}
  - name: open
    match: {path: {prefix: /open}}
    service: app
  - name: optional
    match: {path: {prefix: /optional}}
    service: app
    policies: {auth: {jwt: <jwt>, optional: true}}
  - name: kept
    match: {path: {prefix: /kept}}
    service: app
    policies: {auth: {jwt: <jwt>, forward_credentials: true}}
  - name: signed-in
    match: {path: {prefix: /}}
    service: app
    policies: {auth: {jwt: <jwt>}}
"#;

/// What a gateway that signs is made of.
struct Parts {
    token: String,
    audience: &'static str,
    ttl: &'static str,
}

impl Parts {
    fn signing(algorithm: Algorithm, keys: &[&Keys]) -> (Parts, Vec<Box<dyn std::any::Any>>) {
        let mut files: Vec<Box<dyn std::any::Any>> = Vec::new();
        let mut names = Vec::new();
        for keys in keys {
            let written = keys.files();
            names.push(written.private(algorithm).display().to_string());
            files.push(Box::new(written));
        }
        let token = format!("algorithm: {algorithm}, key: [{}]", names.join(", "));
        (Parts { token, audience: "[orders]", ttl: "1m" }, files)
    }

    fn document(&self) -> String {
        let jwt = format!(
            "{{issuer: \"https://id.test\", algorithms: [HS256], secret: {}}}",
            "0123456789-ours-".repeat(5)
        );
        let document = DOCUMENT.replace("<token>", &self.token).replace("<jwt>", &jwt);
        document.replace("<audience>", self.audience).replace("<ttl>", self.ttl)
    }

    async fn start(&self, app: &Origin) -> Gateway {
        let setup = Setup::new(&self.document()).with("app", app);
        setup.listener("protocols: [h2c, http/1.1]").start().await
    }
}

/// A token of a client, which the gateway takes.
fn of(subject: &str) -> String {
    let claims = json!({
        "iss": "https://id.test", "sub": subject, "exp": crate::support::now() + 60,
        "roles": ["admin", "reader"], "scope": "a b", "email": "ann@example.com", "age": 7,
        "secret": "for the gateway alone",
    });
    crate::support::token(Algorithm::HS256, &claims)
}

async fn asked(gateway: &Gateway, path: &str, fields: &str) -> Response {
    gateway.request(&format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n")).await
}

async fn signed_in(gateway: &Gateway, path: &str) -> Response {
    asked(gateway, path, &format!("Authorization: Bearer {}\r\n", of("ann"))).await
}

async fn key_set(gateway: &Gateway) -> Value {
    let response = asked(gateway, "/.well-known/jwks.json", "").await;
    assert_eq!(response.status, 200);
    response.json()
}

/// What a service makes of a token, by a library that is not the gateway.
fn verified(token: &str, set: &Value, algorithm: Known) -> Option<Value> {
    let header = decode_header(token).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("JWT"), algorithm));
    let set: JwkSet = serde_json::from_value(set.clone()).unwrap();
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap())?).unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["orders"]);
    validation.set_issuer(&["https://gateway.test"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    Some(decode(token, &key, &validation).unwrap().claims)
}

fn identity_token(seen: &Seen) -> &str {
    seen.get("x-identity-token").expect("a token")
}

#[tokio::test]
async fn a_service_verifies_who_is_asking_with_the_gateways_keys() {
    let app = Origin::saying("hello").await;
    for (algorithm, known) in [(Algorithm::ES256, Known::ES256), (Algorithm::RS256, Known::RS256)] {
        let (parts, _files) = Parts::signing(algorithm, &[Keys::ours()]);
        let gateway = parts.start(&app).await;
        assert_eq!(signed_in(&gateway, "/orders").await.status, 200);
        let seen = app.last();
        let claims = verified(identity_token(&seen), &key_set(&gateway).await, known).unwrap();
        assert_eq!((&claims["sub"], &claims["scope"]), (&json!("ann"), &json!("a b")));
        assert_eq!(claims["roles"], json!(["admin", "reader"]));
        assert_eq!((&claims["email"], &claims["age"]), (&json!("ann@example.com"), &json!(7)));
        assert_eq!(claims["aud"], "orders");
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(life, 60);
        for missing in ["tenant", "plan", "consumer", "tier", "secret"] {
            assert!(claims.get(missing).is_none(), "{claims}");
        }
        assert_eq!((seen.get("authorization"), seen.get("x-user-id")), (None, Some("ann")));
    }
}

#[tokio::test]
async fn a_consumer_is_named_with_its_tier_and_roles() {
    let app = Origin::saying("hello").await;
    let (mut parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    parts.audience = "[orders, users]";
    let gateway = parts.start(&app).await;
    let key = "X-Api-Key: acme-key-of-32-characters-000000\r\n";
    assert_eq!(asked(&gateway, "/keys", key).await.status, 200);
    let set = key_set(&gateway).await;
    let claims = verified(identity_token(&app.last()), &set, Known::ES256).unwrap();
    assert_eq!((&claims["sub"], &claims["consumer"]), (&json!("acme"), &json!("acme")));
    assert_eq!((&claims["tier"], &claims["plan"]), (&json!("gold"), &json!("gold")));
    assert_eq!(claims["roles"], json!(["partner"]));
    assert_eq!(claims["aud"], json!(["orders", "users"]));
    assert_eq!(app.last().get("x-api-key"), None);
}

#[tokio::test]
async fn nobody_has_no_token_and_a_clients_own_is_taken_out_in_every_spelling() {
    let app = Origin::saying("hello").await;
    let (parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    let gateway = parts.start(&app).await;
    let forged = "X-Identity-Token: a\r\nx_identity_token: b\r\nX-Identity_Token: c\r\n\
                  x.identity.token: d\r\nX-IDENTITY-TOKEN: e\r\nX_User_Id: f\r\n";
    let is_its = |name: &str| {
        let letters =
            |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        ["x-identity-token", "x-user-id"].contains(&&*name.chars().map(letters).collect::<String>())
    };
    for path in ["/open", "/optional"] {
        assert_eq!(asked(&gateway, path, forged).await.status, 200, "{path}");
        let seen = app.last();
        assert!(!seen.head.fields.iter().any(|(name, _)| is_its(name)), "{:?}", seen.head);
    }
    let fields =
        format!("Authorization: Bearer {}\r\nConnection: x-identity-token\r\n{forged}", of("ann"));
    assert_eq!(asked(&gateway, "/orders", &fields).await.status, 200);
    let seen = app.last();
    let its: Vec<_> = seen.head.fields.iter().filter(|(name, _)| is_its(name)).collect();
    assert_eq!(its.len(), 2, "{its:?}");
    let set = key_set(&gateway).await;
    assert_eq!(verified(identity_token(&seen), &set, Known::ES256).unwrap()["sub"], "ann");
    assert_eq!(seen.get("x-user-id"), Some("ann"));
}

#[tokio::test]
async fn a_client_of_http_2_has_a_token_as_well() {
    let app = Origin::saying("hello").await;
    let (parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    let gateway = parts.start(&app).await;
    let client = gateway.connect_h2().await;
    let request = Request::get("http://gateway.test/orders")
        .header("authorization", format!("Bearer {}", of("ann")))
        .header("x-identity-token", "forged");
    let response = client.request(request.body(()).unwrap(), "").await.unwrap();
    assert_eq!(response.status, 200);
    let none = |headers: &HeaderMap| !headers.contains_key("x-identity-token");
    assert!(none(&response.headers));
    let set = key_set(&gateway).await;
    assert!(verified(identity_token(&app.last()), &set, Known::ES256).is_some());
}

#[tokio::test]
async fn in_authorization_it_is_a_bearer_token_in_the_place_of_the_clients() {
    let app = Origin::saying("hello").await;
    let (mut parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    parts.token.push_str(", header: authorization");
    let gateway = parts.start(&app).await;
    let set = key_set(&gateway).await;
    for path in ["/orders", "/optional", "/kept"] {
        assert_eq!(signed_in(&gateway, path).await.status, 200, "{path}");
        let seen = app.last();
        let token = seen.get("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(verified(token, &set, Known::ES256).unwrap()["sub"], "ann");
    }
    for path in ["/open", "/optional"] {
        assert_eq!(asked(&gateway, path, "").await.status, 200);
        assert_eq!(app.last().get("authorization"), None);
    }
    let forged = "Authorization: Bearer forged\r\n";
    assert_eq!(asked(&gateway, "/open", forged).await.status, 200);
    assert_eq!(app.last().get("authorization"), None);
}

#[tokio::test]
async fn a_token_is_the_same_for_many_requests_and_new_when_half_its_life_is_over() {
    let app = Origin::saying("hello").await;
    let (mut parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    parts.ttl = "10m";
    let gateway = parts.start(&app).await;
    let bearer = format!("Authorization: Bearer {}\r\n", of("ann"));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        asked(&gateway, "/orders", &bearer).await;
        tokens.push(identity_token(&app.last()).to_owned());
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    asked(&gateway, "/orders", &format!("Authorization: Bearer {}\r\n", of("bob"))).await;
    assert_ne!(identity_token(&app.last()), tokens[0]);

    parts.ttl = "2s";
    let gateway = parts.start(&app).await;
    asked(&gateway, "/orders", &bearer).await;
    let first = identity_token(&app.last()).to_owned();
    let set = key_set(&gateway).await;
    let second = eventually("another token", async || {
        asked(&gateway, "/orders", &bearer).await;
        let token = identity_token(&app.last()).to_owned();
        (token != first).then_some(token)
    })
    .await;
    let expires = |token: &str| verified(token, &set, Known::ES256).unwrap()["exp"].as_u64();
    // It came while the first was still good.
    assert!(crate::support::now() <= expires(&first).unwrap());
    assert!(expires(&second) > expires(&first));
}

#[tokio::test]
async fn a_new_key_comes_first_and_the_old_ones_tokens_still_verify() {
    let app = Origin::saying("hello").await;
    let (parts, _old_files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    let old = parts.start(&app).await;
    signed_in(&old, "/orders").await;
    let of_old = identity_token(&app.last()).to_owned();
    let (parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::spare(), Keys::ours()]);
    let between = parts.start(&app).await;
    signed_in(&between, "/orders").await;
    let of_new = identity_token(&app.last()).to_owned();
    let set = key_set(&between).await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    for token in [&of_old, &of_new] {
        assert!(verified(token, &set, Known::ES256).is_some());
    }
    assert!(verified(&of_new, &key_set(&old).await, Known::ES256).is_none());
    assert_ne!(decode_header(&of_old).unwrap().kid, decode_header(&of_new).unwrap().kid);
}

#[tokio::test]
async fn the_keys_are_public_on_every_host_and_hold_nothing_private() {
    let app = Origin::saying("hello").await;
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (parts, _files) = Parts::signing(algorithm, &[Keys::ours()]);
        let gateway = parts.start(&app).await;
        let path = "/.well-known/jwks.json";
        let mut sets = Vec::new();
        for host in ["gateway.test", "api.test", "anything.example"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let response = gateway.request(&request).await;
            assert_eq!(response.status, 200, "{host}");
            assert_eq!(response.get("content-type"), Some("application/jwk-set+json"));
            assert_eq!(response.get("cache-control"), Some("public, max-age=300"));
            sets.push(response.json());
        }
        assert!(sets.iter().all(|set| *set == sets[0]));
        let key = sets[0]["keys"][0].as_object().unwrap();
        assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!(algorithm.name())));
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(!key.contains_key(private), "{private}");
        }
    }
    assert_eq!(app.requests().len(), 0);
}

#[tokio::test]
async fn the_keys_are_read_and_not_written() {
    let app = Origin::saying("hello").await;
    let (parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    // Without a route that takes every path, another method has nobody to go to.
    let document = parts.document().replace("path: {prefix: /}", "path: {prefix: /orders}");
    let gateway = Setup::new(&document).with("app", &app).start().await;
    let mut client = gateway.connect().await;
    for host in ["gateway.test", "api.test"] {
        let ask = |method: &str| {
            format!("{method} /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n\r\n")
        };
        let whole = client.request(&ask("GET")).await;
        let head = client.request(&ask("HEAD")).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.get("content-length"), whole.get("content-length"));
        for method in ["POST", "DELETE"] {
            let response = client.request(&ask(method)).await;
            response.problem(405);
            assert_eq!(response.get("allow"), Some("GET, HEAD"));
        }
    }
    let labels = [("route", "jwks")];
    gateway.metric("gateway_requests_total", &labels, 4.0).await;
}

#[tokio::test]
async fn a_secret_signs_as_well_and_nothing_is_published_of_it() {
    let app = Origin::saying("hello").await;
    let secret = "0123456789abcdef0123456789abcdef";
    let token = format!("algorithm: HS256, secret: {secret}");
    let parts = Parts { token, audience: "[orders]", ttl: "1m" };
    let document = parts.document().replace("  jwks: /.well-known/jwks.json\n", "");
    let gateway = Setup::new(&document).with("app", &app).start().await;
    signed_in(&gateway, "/orders").await;
    let mut validation = Validation::new(Known::HS256);
    validation.set_audience(&["orders"]);
    let key = DecodingKey::from_secret(secret.as_bytes());
    let token: jsonwebtoken::TokenData<Value> =
        decode(identity_token(&app.last()), &key, &validation).unwrap();
    assert_eq!(token.claims["sub"], "ann");
    asked(&gateway, "/.well-known/jwks.json", "").await.problem(401);
}

#[tokio::test]
async fn nothing_of_the_token_is_written_down() {
    let app = Origin::saying("hello").await;
    let (parts, _files) = Parts::signing(Algorithm::ES256, &[Keys::ours()]);
    let gateway = parts.start(&app).await;
    signed_in(&gateway, "/orders").await;
    let written = format!("{:?}{}", gateway.access_log(1).await, gateway.said());
    let seen = app.last();
    assert!(!written.contains(identity_token(&seen).rsplit('.').next().unwrap()));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let files = Keys::ours().files();
    let es256 = files.private(Algorithm::ES256).display().to_string();
    let public = files.public(Algorithm::ES256).display().to_string();
    let secret = "0123456789abcdef0123456789abcdef";
    let good = format!("token: {{algorithm: ES256, key: {es256}, issuer: a}}");
    for (identity, said) in [
        (good.clone(), None),
        (format!("{good}, jwks: /keys"), None),
        (format!("token: {{algorithm: RS256, key: {es256}, issuer: a}}"), Some("RS256")),
        (format!("token: {{algorithm: ES256, key: {public}, issuer: a}}"), Some("public")),
        ("token: {algorithm: ES256, key: nowhere.pem, issuer: a}".to_owned(), Some("nowhere.pem")),
        ("token: {algorithm: ES256, issuer: a}".to_owned(), Some("needs a `key`")),
        ("token: {algorithm: HS256, secret: short, issuer: a}".to_owned(), Some("32 bytes")),
        (format!("token: {{algorithm: ES256, key: {es256}}}"), Some("issuer")),
        (
            format!("token: {{algorithm: ES256, key: {es256}, issuer: a, ttl: 500ms}}"),
            Some("a second at least"),
        ),
        (
            format!(
                "token: {{algorithm: ES256, key: {es256}, issuer: a, \
                 claims: {{ip: $(client.ip)}}}}"
            ),
            Some("is a request's own"),
        ),
        (
            format!("token: {{algorithm: ES256, key: {es256}, issuer: a, claims: {{exp: never}}}}"),
            Some("the gateway's own"),
        ),
        (
            format!("token: {{algorithm: ES256, key: {es256}, issuer: a, header: connection}}"),
            Some("connection"),
        ),
        ("jwks: /keys".to_owned(), Some("signs nothing")),
        (
            format!("jwks: /keys, token: {{algorithm: HS256, secret: {secret}, issuer: a}}"),
            Some("signs nothing"),
        ),
        (format!("{good}, jwks: keys"), Some("keys")),
        (
            format!("{good}, headers: {{x-identity-token: $(identity.sub)}}"),
            Some("x-identity-token"),
        ),
    ] {
        let document = format!(
            "version: 1\nlisteners: [{{name: a, address: \"127.0.0.1:8080\"}}]\n\
             identity: {{{identity}}}\nroutes:\n- {{name: one, match: {{path: {{prefix: /}}}}, \
             respond: {{status: 204}}, policies: {{auth: none}}}}\n"
        );
        let file = files.add("gateway.yaml", document);
        let (passed, output) = check(&file);
        assert_eq!(passed, said.is_none(), "{identity}: {output}");
        assert!(output.contains(said.unwrap_or_default()), "{identity}: {output}");
    }
    let document = format!(
        "version: 1\nlisteners: [{{name: a, address: \"127.0.0.1:8080\"}}]\n\
         identity: {{{good}, jwks: /keys}}\nroutes:\n- {{name: jwks, match: {{path: \
         {{prefix: /}}}}, respond: {{status: 204}}, policies: {{auth: none}}}}\n"
    );
    let (passed, output) = check(&files.add("gateway.yaml", document));
    assert!(!passed && output.contains("is called `jwks`"), "{output}");
}
