//! Whom services are told that a request is from: the gateway's word alone, once, or nobody's.

mod spoofing;
mod values;

use crate::support::{Key, Keys, Response, Seen, now, token};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// The secret that the tokens of these tests are signed with, as a configuration has it.
pub fn secret() -> &'static str {
    match Keys::ours().of(Algorithm::HS256) {
        Key::Secret(secret) => std::str::from_utf8(secret).unwrap(),
        _ => unreachable!("HS256 has a secret"),
    }
}

/// A token of the issuer `test` with these claims beside the usual ones.
pub fn token_with(claims: Value) -> String {
    let mut all = json!({"iss": "test", "sub": "alice", "exp": now() + 600});
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    all.as_object_mut().unwrap().extend(claims);
    token(Algorithm::HS256, &all)
}

/// The way that believes these tokens, as a document has it.
pub fn jwt() -> String {
    format!("jwt: {{issuer: test, secret: {}}}", secret())
}

/// The fields of a request that a service may take for this one: those whose names are the same
/// variable (RFC 3875 §4.1.18), or are with any other sign for `-`.
fn read_as(seen: &Seen, name: &str) -> Vec<(String, String)> {
    let plain = |name: &str| {
        let signs = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        name.chars().map(signs).collect::<String>()
    };
    let fields = seen.head.fields.iter();
    fields.filter(|(known, _)| plain(known) == plain(name)).cloned().collect()
}

/// Fails the test unless the service saw this user, told once by the gateway, or none.
#[track_caller]
fn told(seen: &Seen, user: Option<&str>, what: &str) {
    let expected: Vec<_> =
        user.map(|user| ("x-user-id".to_owned(), user.to_owned())).into_iter().collect();
    let mut found = read_as(seen, "x-user-id");
    found.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    assert_eq!(found, expected, "{what:?}: {seen:?}");
    let says =
        |(name, value): &(String, String)| name.contains("mallory") || value.contains("mallory");
    assert!(!seen.head.fields.iter().any(says), "{what:?}: {seen:?}");
}

/// Fails the test unless a response is the service's.
#[track_caller]
fn served(response: &Response, what: &str) {
    assert_eq!(response.status, 200, "{what:?}: {}", response.text());
}
