//! What may be typed of a consumer, and what is said of mistakes.

use super::*;
use crate::value::Label;

fn read(text: &str) -> Result<ConsumerConfig, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

fn credentials(text: &str) -> Result<CredentialsConfig, String> {
    read(&format!("{{name: a, credentials: {{{text}}}}}")).map(|consumer| consumer.credentials)
}

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn a_consumer_is_read_with_all_that_it_is_known_by() {
    let text = format!(
        "name: acme\ntier: business\nroles: [buyer, \"orders:write\"]\ntags: beta\ncredentials:\n  \
         api_key_sha256: [{DIGEST}]\n  jwt_sub: [acme-app, auth0|7]\n  \
         jwt_claims: {{azp: app1, \"https://a.example/tenant\": [7, t7]}}\n  \
         basic: {{user: ops, hash: $argon2id$x}}\n  mtls_san: ops.example.com\n  \
         mtls_subject: [\"CN=ops,O=Example\"]\n  mtls_fingerprint: {DIGEST}\n"
    );
    let consumer = read(&text).unwrap();
    assert_eq!(consumer.name.as_str(), "acme");
    assert_eq!(consumer.tier.unwrap().as_str(), "business");
    assert_eq!(&*consumer.roles.unwrap()[1], "orders:write");
    assert_eq!(&*consumer.tags.unwrap()[0], "beta");
    let credentials = consumer.credentials;
    assert!(!credentials.is_empty());
    assert_eq!(credentials.api_key_sha256.as_ref().unwrap()[0].reveal(), DIGEST);
    assert_eq!(&*credentials.jwt_sub.as_ref().unwrap()[1], "auth0|7");
    let claims = credentials.jwt_claims.as_ref().unwrap();
    let told = |name: &str| claims[&name.parse::<Label>().unwrap()].to_vec();
    assert_eq!(told("azp")[0].to_string(), "\"app1\"");
    assert_eq!(told("https://a.example/tenant")[0].to_string(), "7");
    let basic = credentials.basic.as_ref().unwrap();
    assert_eq!((&*basic.user, basic.hash.reveal()), ("ops", "$argon2id$x"));
    assert_eq!(credentials.mtls_fingerprint.as_ref().unwrap()[0].to_string(), DIGEST);
    // Neither of the hashes is told.
    let debugged = format!("{credentials:?}");
    assert!(!debugged.contains("argon2id"), "{debugged}");
    assert_eq!(debugged.matches("Secret(…)").count(), 2);
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
        ("api_keys: [a]", "unknown key `api_keys`"),
        ("jwt_sbu: a", "unknown key `jwt_sbu`, did you mean `jwt_sub`?"),
        ("jwt_sub: []", "the list is empty"),
        ("jwt_claims: {azp: []}", "the list is empty: which values?"),
        ("jwt_claims: {azp: {a: b}}", "expected a text, a number, `true` or `false`, or a list"),
        ("jwt_claims: [azp]", "a list stands here, expected a mapping"),
        ("basic: {user: ops}", "the key `hash` is missing"),
        ("basic: {user: \"ops:hush\", hash: h}", "a user's name holds no colon"),
        ("basic: {user: \"\", hash: h}", "a user's name is missing here"),
        ("basic: {user: \"a\\tb\", hash: h}", "a user's name must not hold '\\t'"),
        ("basic: {user: ops, hash: \"\"}", "a secret is not empty"),
        ("basic: {user: ops, password: hush}", "unknown key `password`"),
        ("mtls_san: \" a\"", "has a space at its beginning or end"),
        ("mtls_fingerprint: abcd", "a SHA-256 has 64 digits, here are 4"),
        ("mtls_fingerprint: \"ab:c:d\"", "colons stand between every two digits, or nowhere"),
        ("mtls_fingerprint: xyz", "write the SHA-256 in hexadecimal digits"),
        (
            "mtls_fingerprint: da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "this is a SHA-1, which can be forged: write the SHA-256",
        ),
    ] {
        let told = refusal(text);
        assert!(told.contains(message), "{text}: {told}");
        assert!(!told.contains("hush"), "{told}");
    }
    assert!(read("{tier: a}").unwrap_err().contains("the key `name` is missing"));
    assert!(read("{name: a b}").unwrap_err().contains("holds ' '"));
    assert!(read("{name: a, role: b}").unwrap_err().contains("did you mean `roles`?"));
}
