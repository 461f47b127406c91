//! Signed tokens, as clients show them to the running gateway.

mod issuers;
mod keys;
mod places;
mod remembered;
mod rotation;
mod verdicts;

use crate::support::{Client, Key, Keys, Response, forge, now};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// A request with a token in `Authorization`.
pub fn bearing(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Shows a token on a connection.
pub async fn show(client: &mut Client, token: &str) -> Response {
    client.request(&bearing("/", token)).await
}

/// Fails the test unless a response refuses a token, and its challenge has this in it.
#[track_caller]
pub fn assert_refused(response: &Response, challenge: &str) {
    response.problem(401);
    let said = response.get("www-authenticate").expect("a 401 has a challenge");
    assert!(said.starts_with("Bearer ") && said.contains(challenge), "{said}");
}

/// The ordinary claims of an issuer's token, good for ten minutes.
fn claims(issuer: &str, audience: &str) -> Value {
    json!({"iss": issuer, "aud": audience, "sub": "alice", "exp": now() + 600})
}

/// A token by a key that it names, unless the name is empty.
fn named(kid: &str, algorithm: Algorithm, key: &Key, claims: &Value) -> String {
    let header = match kid {
        "" => json!({"alg": algorithm.name()}),
        kid => json!({"alg": algorithm.name(), "kid": kid}),
    };
    forge(header.to_string(), claims.to_string(), algorithm.name(), key)
}

/// Tokens that nobody has seen, so that none of them was found good before.
struct Fresh<'a> {
    issuer: String,
    kid: &'a str,
    key: &'a Key,
}

impl<'a> Fresh<'a> {
    /// Those of an issuer's key on P-256.
    fn of(issuer: &str, kid: &'a str, keys: &'a Keys) -> Self {
        Fresh { issuer: issuer.to_owned(), kid, key: keys.of(Algorithm::ES256) }
    }

    /// A new one.
    fn token(&self) -> String {
        let mut claims = claims(&self.issuer, "api");
        claims["jti"] = fastrand::u128(..).to_string().into();
        named(self.kid, Algorithm::ES256, self.key, &claims)
    }
}
