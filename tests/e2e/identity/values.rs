//! What becomes of what is known of a client in fields of the request.

use super::{jwt, token_with};
use crate::support::{Origin, Seen, Setup};
use serde_json::{Value, json};

const FIELDS: &str = r#"
identity:
  headers:
    x-user-id: $(identity.sub)
    x-user-email: $(identity.email)
    x-user-roles: $(identity.roles)
    x-user-scopes: $(identity.scopes)
    x-tenant: $(identity.org.tenant)
    x-groups: $(identity.groups)
    x-level: $(identity.level)
    x-tier: $(consumer.tier)
    x-about: "$(identity.sub) from $(client.ip)"
    x-fixed: by the gateway
services: {app: {url: "http://<app>"}}
policies: {auth: {<jwt>, optional: true}}
routes: [{name: all, match: {path: {prefix: /}}, service: app}]
"#;

const NAMES: [&str; 10] = [
    "x-user-id",
    "x-user-email",
    "x-user-roles",
    "x-user-scopes",
    "x-tenant",
    "x-groups",
    "x-level",
    "x-tier",
    "x-about",
    "x-fixed",
];

/// What the service sees of requests with tokens with these claims, and of one without a token.
async fn seen(all: Vec<Value>) -> (Vec<Seen>, Seen) {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(FIELDS).with("app", &origin).with("jwt", jwt()).start().await;
    // A client that claims them all.
    let claims: String = NAMES.iter().map(|name| format!("{name}: mallory\r\n")).collect();
    let mut client = gateway.connect().await;
    for claim in all {
        let token = token_with(claim);
        let request =
            format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{claims}\r\n");
        assert_eq!(client.request(&request).await.status, 200);
    }
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{claims}\r\n");
    assert_eq!(client.request(&request).await.status, 200);
    let mut seen = origin.requests();
    let anonymous = seen.pop().unwrap();
    let claimed = |seen: &Seen| seen.head.fields.iter().any(|(_, value)| value.contains("mallory"));
    assert!(!seen.iter().chain([&anonymous]).any(claimed));
    (seen, anonymous)
}

#[tokio::test]
async fn claims_become_fields_and_what_is_not_known_has_none() {
    let (seen, anonymous) = seen(vec![
        json!({
            "email": "alice@example.com", "roles": ["reader", "a,b"], "scope": "one two",
            "org": {"tenant": "t1"}, "groups": ["x", 1, true], "level": 7,
        }),
        json!({}),
    ])
    .await;
    let expected = [
        Some("alice"),
        Some("alice@example.com"),
        Some("reader,a%2Cb"),
        Some("one,two"),
        Some("t1"),
        Some("x,1,true"),
        Some("7"),
        None,
        Some("alice from 127.0.0.1"),
        Some("by the gateway"),
    ];
    assert_eq!(NAMES.map(|name| seen[0].get(name)), expected);
    let known = ["x-user-id", "x-about", "x-fixed"];
    for name in NAMES {
        assert_eq!(seen[1].get(name).is_some(), known.contains(&name), "{name}");
        assert_eq!(anonymous.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_claim_that_is_no_field_value_is_left_out_and_starts_no_other_field() {
    let strange = ["a\r\nx-user-id: root", "a\nb", "a\rb", "a\0b", "\u{7f}", "a\u{1}"];
    let claims = strange.map(|text| json!({"email": text, "groups": [text, "b"], "level": 1}));
    let (seen, _) = seen(claims.to_vec()).await;
    for (seen, text) in seen.iter().zip(strange) {
        assert_eq!(seen.get("x-user-id"), Some("alice"), "{text:?}");
        assert_eq!((seen.get("x-user-email"), seen.get("x-groups")), (None, None), "{text:?}");
        assert_eq!(seen.get("x-level"), Some("1"), "{text:?}");
    }
}

#[tokio::test]
async fn texts_of_other_languages_and_numbers_of_all_kinds_go_as_they_are() {
    let (seen, _) = seen(vec![
        json!({"sub": "Zo\u{eb} \u{6771}\u{4eac}", "level": -1.5, "org": {"tenant": 0}}),
        json!({"email": "", "level": null, "groups": [], "org": {"tenant": {"a": "b"}}}),
        json!({"org.tenant": "flat", "org": {"tenant": "deep"}, "level": false, "roles": "one,two"}),
    ])
    .await;
    assert_eq!(seen[0].get("x-user-id"), Some("Zo\u{eb} \u{6771}\u{4eac}"));
    assert_eq!((seen[0].get("x-level"), seen[0].get("x-tenant")), (Some("-1.5"), Some("0")));
    assert_eq!((seen[1].get("x-user-email"), seen[1].get("x-level")), (Some(""), None));
    assert_eq!(seen[1].get("x-tenant"), Some(r#"{"a":"b"}"#));
    assert_eq!((seen[2].get("x-tenant"), seen[2].get("x-level")), (Some("flat"), Some("false")));
    assert_eq!(seen[2].get("x-user-roles"), Some("one%2Ctwo"));
}
