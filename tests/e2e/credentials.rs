//! Credentials of every kind that the configuration knows, and what is said to who has none.

mod answers;
mod authorization;
mod keys;
mod mixtures;
mod passwords;
mod secrets;

use crate::identity::jwt;
use crate::support::{Gateway, Origin, Setup};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The key of the consumer `acme`.
const ACME: &str = "acme-key-0123456789";
/// The other key of the consumer `acme`, as between two rotations.
const ACME_NEXT: &str = "acme-key-9876543210";
/// The password of the user `ops`, which has a colon.
const OPS: &str = "open:sesame";
/// The password of the user `zo\u{eb}`.
const ZOE: &str = "p\u{e4}ssw\u{f6}rd";

/// Consumers, and a route for each way and for some of several.
const ROUTES: &str = r#"
identity:
  headers:
    x-user-id: $(identity.sub)
    x-roles: $(identity.roles)
    x-consumer: $(consumer.name)
    x-tier: $(consumer.tier)
    x-tags: $(consumer.tags)
consumers:
  - name: acme
    tier: business
    roles: [partner]
    tags: [eu, beta]
    credentials: {api_key_sha256: [<acme>, <next>], jwt_sub: acme-app, jwt_issuer: test}
  - name: ops
    tier: enterprise
    roles: [admin]
    credentials: {basic: {user: ops, hash: "<argon2id>"}}
  - name: zoe
    credentials: {basic: {user: "zo\u00eb", hash: "<bcrypt>"}}
  - name: gold
    tier: gold
    credentials: {jwt_claims: {plan: [gold, platinum], org.country: fr}, jwt_issuer: test}
  - {name: elsewhere, credentials: {jwt_sub: alice, jwt_issuer: elsewhere}}
services: {app: {url: "http://<app>"}}
routes:
  - {name: jwt, match: {path: {prefix: /jwt}}, service: app, policies: {auth: {<jwt>}}}
  - {name: key, match: {path: {prefix: /key}}, service: app, policies: {auth: {api_key: {}}}}
  - name: anywhere
    match: {path: {prefix: /anywhere}}
    service: app
    policies: {auth: {api_key: {from: [header.x-key, cookie.key, query.key]}}}
  - {name: basic, match: {path: {prefix: /basic}}, service: app, policies: {auth: {basic: {realm: partners}}}}
  - name: both
    match: {path: {prefix: /both}}
    service: app
    policies: {auth: {any_of: [{<jwt>}, {basic: {}}], realm: both of them}}
  - name: all
    match: {path: {prefix: /all}}
    service: app
    policies: {auth: {any_of: [{<jwt>}, {api_key: {}}, {basic: {}}]}}
  - name: optional
    match: {path: {prefix: /optional}}
    service: app
    policies: {auth: {any_of: [{api_key: {}}, {<jwt>}], optional: true}}
  - name: forwarded
    match: {path: {prefix: /forwarded}}
    service: app
    policies: {auth: {any_of: [{<jwt>}, {api_key: {from: [query.key, cookie.key]}}], forward_credentials: true}}
  - {name: open, match: {path: {prefix: /open}}, service: app, policies: {auth: none}}
  - name: relayed
    match: {path: {prefix: /relayed}}
    service: app
    policies: {auth: {forward_credentials: true}}
  - name: shared
    match: {path: {prefix: /shared}}
    service: app
    policies:
      auth: {<jwt>}
      authorize: {all: ["role:admin"]}
      cors: {origins: ["https://app.example.com"], headers: [authorization]}
"#;

async fn gateway() -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ROUTES)
        .with("app", &origin)
        .with("jwt", jwt())
        .with("acme", sha256(ACME))
        .with("next", sha256(ACME_NEXT))
        .with("argon2id", argon2id(OPS))
        .with("bcrypt", bcrypt_of(ZOE, 10));
    (setup.listener("protocols: [h2c, http/1.1]").start().await, origin)
}

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An argon2id hash, as cheap as is taken.
fn argon2id(password: &str) -> String {
    let params = Params::new(8_192, 1, 1, Some(32)).unwrap();
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), b"salt of a sample", &mut hash).unwrap();
    let (salt, hash) = (STANDARD_NO_PAD.encode("salt of a sample"), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m=8192,t=1,p=1${salt}${hash}")
}

fn bcrypt_of(password: &str, cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, *b"salt of a sample").unwrap().to_string()
}

/// A value of `Authorization` with this user and password.
fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// A request with these field lines.
fn request(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n")
}

/// A request with this value of `Authorization`.
fn with(target: &str, authorization: &str) -> String {
    request(target, &format!("Authorization: {authorization}\r\n"))
}
