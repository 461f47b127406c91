//! Several ways, optional ones, and consumers that tokens belong to.

use super::{ACME, OPS, basic, gateway, request, with};
use crate::identity::token_with;
use serde_json::{Value, json};

#[tokio::test]
async fn the_first_way_that_leads_to_somebody_decides() {
    let (gateway, origin) = gateway().await;
    let token = format!("Authorization: Bearer {}\r\n", token_with(json!({})));
    let bad = "Authorization: Bearer a.b.c\r\n".to_owned();
    let key = format!("X-API-Key: {ACME}\r\n");
    let wrong = "X-API-Key: wrong\r\n".to_owned();
    let ops = format!("Authorization: {}\r\n", basic(format!("ops:{OPS}")));
    for (lines, user) in [
        (vec![&token], Some("alice")),
        (vec![&key], Some("acme")),
        (vec![&ops], Some("ops")),
        (vec![&token, &key], Some("alice")),
        (vec![&key, &ops], Some("acme")),
        (vec![&token, &wrong], Some("alice")),
        (vec![&bad, &key], Some("acme")),
        (vec![&wrong, &ops], Some("ops")),
        (vec![&bad, &wrong], None),
        (vec![&bad], None),
        (vec![&wrong], None),
    ] {
        let lines: String = lines.into_iter().map(String::as_str).collect();
        let response = gateway.request(&request("/all", &lines)).await;
        match user {
            Some(user) => {
                assert_eq!(response.status, 200, "{lines}");
                let seen = origin.last();
                assert_eq!(seen.get("x-user-id"), Some(user), "{lines}");
                assert_eq!((seen.get("authorization"), seen.get("x-api-key")), (None, None));
            }
            None => assert_eq!(response.problem(401)["title"], "Credentials Invalid", "{lines}"),
        }
    }
    for (way, count) in [("jwt", 3.0), ("api_key", 3.0), ("basic", 2.0)] {
        let labels = [("route", "all"), ("way", way), ("outcome", "known")];
        gateway.metric("gateway_authentications_total", &labels, count).await;
    }
}

#[tokio::test]
async fn who_shows_nothing_is_nobody_where_that_is_enough_and_who_shows_what_is_bad_is_refused() {
    let (gateway, origin) = gateway().await;
    let lines = "x-user-id: mallory\r\nx-consumer: mallory\r\nX_Tier: gold\r\n";
    assert_eq!(gateway.request(&request("/optional", lines)).await.status, 200);
    let seen = origin.last();
    for name in ["x-user-id", "x-consumer", "x-tier", "x_tier", "x-roles", "x-tags"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
    let line = &gateway.access_log(1).await[0];
    assert!(line.get("subject").is_none_or(Value::is_null), "{line}");
    let labels = [("route", "optional"), ("way", "none"), ("outcome", "anonymous")];
    gateway.metric("gateway_authentications_total", &labels, 1.0).await;
    let expired = token_with(json!({"exp": 1_000_000_000}));
    for (lines, title) in [
        ("X-API-Key: wrong\r\n".to_owned(), "Credentials Invalid"),
        ("X-API-Key:\r\n".to_owned(), "Credentials Invalid"),
        ("Authorization: Bearer x\r\n".to_owned(), "Credentials Invalid"),
        (format!("Authorization: Bearer {expired}\r\n"), "Credentials Expired"),
    ] {
        let problem = gateway.request(&request("/optional", &lines)).await.problem(401);
        assert_eq!(problem["title"], title, "{lines}");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_token_belongs_to_a_consumer_by_its_subject_or_else_by_its_claims() {
    let (gateway, origin) = gateway().await;
    for (claims, consumer, tier, roles) in [
        (json!({"sub": "acme-app"}), Some("acme"), Some("business"), Some("partner")),
        (
            json!({"sub": "acme-app", "roles": ["own", "partner"]}),
            Some("acme"),
            Some("business"),
            Some("own,partner"),
        ),
        (json!({"sub": "acme-app2"}), None, None, None),
        (json!({"plan": "gold", "org": {"country": "fr"}}), Some("gold"), Some("gold"), None),
        (
            json!({"plan": ["free", "platinum"], "org": {"country": "fr"}}),
            Some("gold"),
            Some("gold"),
            None,
        ),
        (json!({"plan": "gold"}), None, None, None),
        (json!({"plan": "gold", "org": {"country": "de"}}), None, None, None),
        // The subject counts before other claims.
        (
            json!({"sub": "acme-app", "plan": "gold", "org": {"country": "fr"}}),
            Some("acme"),
            Some("business"),
            Some("partner"),
        ),
        // Another issuer's subject is not this one's.
        (json!({"sub": "alice"}), None, None, None),
    ] {
        let authorization = format!("Bearer {}", token_with(claims.clone()));
        assert_eq!(gateway.request(&with("/jwt", &authorization)).await.status, 200);
        let seen = origin.last();
        let told = ["x-consumer", "x-tier", "x-roles"].map(|name| seen.get(name));
        assert_eq!(told, [consumer, tier, roles], "{claims}");
    }
    let lines = gateway.access_log(9).await;
    assert_eq!((&lines[0]["consumer"], &lines[0]["subject"]), (&"acme".into(), &"acme-app".into()));
    assert!(lines[2]["consumer"].is_null() && lines[2]["subject"] == "acme-app2", "{}", lines[2]);
}
