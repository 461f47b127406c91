//! What may be typed of a consumer, and what is said of mistakes.

use super::*;
use crate::value::Label;
use serde_json::json;

fn read(text: &str) -> Result<ConsumerConfig, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

fn credentials(text: &str) -> Result<CredentialsConfig, String> {
    read(&format!("{{name: a, credentials: {{{text}}}}}")).map(|consumer| consumer.credentials)
}

const BCRYPT: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn a_consumer_is_read_with_all_that_it_is_known_by() {
    let text = format!(
        "name: acme\ntier: business\nroles: [buyer, \"orders:write\"]\ntags: beta\ncredentials:\n  \
         api_key_sha256: [{DIGEST}]\n  jwt_sub: [acme-app, auth0|7]\n  \
         jwt_claims: {{azp: app1, \"https://a.example/tenant\": [7, t7]}}\n  \
         basic: {{user: ops, hash: {BCRYPT}}}\n  mtls_san: ops.example.com\n  \
         mtls_subject: [\"CN=ops,O=Example\"]\n  mtls_fingerprint: {DIGEST}\n"
    );
    let consumer = read(&text).unwrap();
    assert_eq!(consumer.name.as_str(), "acme");
    assert_eq!(consumer.tier.unwrap().as_str(), "business");
    assert_eq!(&*consumer.roles.unwrap()[1], "orders:write");
    assert_eq!(&*consumer.tags.unwrap()[0], "beta");
    let credentials = consumer.credentials;
    assert!(!credentials.is_empty());
    assert_eq!(credentials.api_key_sha256.as_ref().unwrap()[0], DIGEST.parse().unwrap());
    assert_eq!(&*credentials.jwt_sub.as_ref().unwrap()[1], "auth0|7");
    let claims = credentials.jwt_claims.as_ref().unwrap();
    let told = |name: &str| claims[&name.parse::<Label>().unwrap()].to_vec();
    assert_eq!(told("azp")[0].to_string(), "\"app1\"");
    assert_eq!(told("https://a.example/tenant")[0].to_string(), "7");
    let basic = credentials.basic.as_ref().unwrap();
    assert_eq!(&*basic.user, "ops");
    // Neither of the hashes is told.
    let debugged = format!("{credentials:?}");
    assert!(!debugged.contains("$2b$"), "{debugged}");
    assert!(debugged.contains("KeyHash(…)") && debugged.contains("PasswordHash(…)"));
}

#[test]
fn a_consumer_without_credentials_is_read_and_is_nobody() {
    let consumer = read("{name: a}").unwrap();
    assert!(consumer.credentials.is_empty());
    assert!(credentials("jwt_claims: {}").unwrap().is_empty());
}

#[test]
fn mistakes_are_told_without_secrets() {
    let refusal = |text: &str| credentials(text).unwrap_err();
    for (text, message) in [
        ("api_keys: [a]", "unknown field `api_keys`"),
        ("jwt_sub: []", "the list is empty"),
        ("jwt_claims: {azp: []}", "the list is empty: which values?"),
        ("jwt_claims: {azp: {a: b}}", "expected a text, a number, `true` or `false`, or a list"),
        ("api_key_sha256: hush", "`printf %s KEY | sha256sum` makes one"),
        ("basic: {user: ops}", "missing field `hash`"),
        ("basic: {user: \"ops:hush\", hash: h}", "a user's name holds no colon"),
        ("basic: {user: \"\", hash: h}", "a user's name is missing here"),
        ("basic: {user: \"a\\tb\", hash: h}", "a user's name must not hold '\\t'"),
        ("basic: {user: ops, hash: hush}", "argon2id"),
        ("mtls_fingerprint: abcd", "it has 64 hexadecimal digits"),
    ] {
        let told = refusal(text);
        assert!(told.contains(message), "{text}: {told}");
        assert!(!told.contains("hush"), "{told}");
    }
    assert!(read("{name: a b}").unwrap_err().contains("holds ' '"));
}

fn consumers(yaml: &str) -> (Consumers, Vec<String>) {
    let configs: Vec<ConsumerConfig> = serde_yaml::from_str(yaml).unwrap();
    let mut wrong = Vec::new();
    let consumers = Consumers::compile(&configs, &Arc::new(Verifier::new(1)), &mut wrong);
    (consumers, wrong.iter().map(ToString::to_string).collect())
}

#[test]
fn a_credential_of_two_consumers_is_refused_where_it_stands_second() {
    let yaml = format!(
        "[{{name: a, credentials: {{api_key_sha256: {DIGEST}, jwt_sub: s, mtls_san: h.test}}}}, \
          {{name: b, credentials: {{api_key_sha256: {DIGEST}, jwt_sub: [t, s], mtls_san: H.test}}}}]"
    );
    let (_, wrong) = consumers(&yaml);
    assert_eq!(
        wrong,
        [
            "consumers[1].credentials.api_key_sha256[0]: consumer `a` has this API key already",
            "consumers[1].credentials.mtls_san[0]: consumer `a` has this name already",
            "consumers[1].credentials.jwt_sub[1]: consumer `a` has this subject already",
        ]
    );
}

#[test]
fn a_subject_counts_for_its_issuer_and_claims_count_all_together() {
    let (consumers, wrong) = consumers(
        "[{name: a, credentials: {jwt_issuer: one, jwt_sub: s}}, \
          {name: b, credentials: {jwt_issuer: two, jwt_sub: s}}, \
          {name: c, credentials: {jwt_claims: {azp: [x, y], realm.id: 7}}}]",
    );
    assert!(wrong.is_empty(), "{wrong:?}");
    let whose = |claims: Value| {
        let Value::Object(claims) = claims else { unreachable!() };
        consumers.of_claims(&claims).map(|consumer| consumer.name.to_string())
    };
    assert_eq!(whose(json!({"iss": "one", "sub": "s"})).as_deref(), Some("a"));
    assert_eq!(whose(json!({"iss": "two", "sub": "s"})).as_deref(), Some("b"));
    assert_eq!(whose(json!({"iss": "three", "sub": "s"})), None);
    let claims = json!({"sub": "u", "azp": ["z", "y"], "realm": {"id": 7}});
    assert_eq!(whose(claims).as_deref(), Some("c"));
    assert_eq!(whose(json!({"azp": "x"})), None);
}
