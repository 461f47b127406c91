//! Who may do what, once it is known who is asking.

mod mistakes;

use crate::identity::{jwt, token_with};
use crate::support::{Gateway, Origin, Setup};
use serde_json::{Value, json};

const CONSUMERS: &str = r#"
consumers:
  - {name: acme, tier: business, tags: [eu], credentials: {jwt_sub: acme-app}}
  - {name: small, tier: free, credentials: {jwt_sub: small-app}}
services: {app: {url: "http://<app>"}}
routes:
  - {name: all, match: {path: {prefix: /}}, service: app, policies: {auth: {<jwt><optional>}, authorize: <authorize>}}
"#;

async fn gateway(optional: bool, authorize: &str) -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(CONSUMERS)
        .with("app", &origin)
        .with("jwt", jwt())
        .with("optional", if optional { ", optional: true" } else { "" })
        .with("authorize", authorize);
    (setup.listener("trusted_proxies: [127.0.0.1]").start().await, origin)
}

/// A request of who has these claims, from an address.
fn request(method: &str, claims: Option<&Value>, from: &str) -> String {
    let token =
        claims.map(|claims| format!("Authorization: Bearer {}\r\n", token_with(claims.clone())));
    let token = token.unwrap_or_default();
    format!("{method} / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n{token}\r\n")
}

/// Fails the test unless exactly those whose claims are marked so pass.
async fn passes(authorize: &str, cases: &[(Value, bool)]) {
    let (gateway, origin) = gateway(false, authorize).await;
    let mut client = gateway.connect().await;
    for (claims, may) in cases {
        let response = client.request(&request("GET", Some(claims), "192.0.2.1")).await;
        assert_eq!(response.status, if *may { 200 } else { 403 }, "{authorize} of {claims}");
        if !may {
            response.problem(403);
        }
    }
    assert_eq!(origin.requests().len(), cases.iter().filter(|(_, may)| *may).count());
}

#[tokio::test]
async fn a_role_is_one_of_the_tokens_whole_and_in_its_own_letters() {
    passes(
        "{all: ['role:admin']}",
        &[
            (json!({"roles": ["reader", "admin"]}), true),
            (json!({"role": "admin"}), true),
            (json!({}), false),
            (json!({"roles": []}), false),
            (json!({"roles": ["Admin", "administrator", " admin"]}), false),
            (json!({"role": "reader admin"}), false),
            (json!({"roles": {"admin": true}}), false),
            (json!({"scope": "admin"}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn claims_tiers_and_tags_are_held_against_what_is_configured() {
    passes(
        "{all: [{claim: org.plan, contains: gold}, {claim: level, equals: 7}], not: [{claim: locked, present: true}]}",
        &[
            (json!({"org": {"plan": ["gold"]}, "level": 7}), true),
            (json!({"org": {"plan": "gold"}, "level": 7.0}), true),
            (json!({"org": {"plan": "golden"}, "level": 7}), false),
            (json!({"org": {"plan": "gold"}, "level": "7"}), false),
            (json!({"org": {"plan": "gold"}, "level": 7, "locked": false}), false),
            (json!({"org": {"plan": "gold"}, "level": 7, "locked": null}), true),
        ],
    )
    .await;
    passes(
        "{any: ['tier:enterprise', {all: ['tier:business', 'tag:eu']}, 'consumer:small']}",
        &[
            (json!({"sub": "acme-app"}), true),
            (json!({"sub": "small-app"}), true),
            (json!({"sub": "alice"}), false),
            (
                json!({"sub": "alice", "tier": "enterprise", "tags": ["eu"], "consumer": "small"}),
                false,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_lacks_scopes_alone_is_told_which_there_have_to_be() {
    let authorize = "{all: ['scope:orders.read', 'scope:orders.write', 'role:clerk']}";
    let (gateway, origin) = gateway(false, authorize).await;
    let mut client = gateway.connect().await;
    for (claims, told) in [
        (json!({"scope": "orders.read", "role": "clerk"}), true),
        (json!({"scp": ["orders.write"], "role": "clerk"}), true),
        (json!({"scope": "orders.read.all orders.writes", "role": "clerk"}), true),
        (json!({"scope": "orders.read orders.write"}), false),
        (json!({}), false),
    ] {
        let response = client.request(&request("GET", Some(&claims), "192.0.2.1")).await;
        let problem = response.problem(403);
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders.read orders.write\"";
        assert_eq!(response.get("www-authenticate"), told.then_some(challenge), "{claims}");
        let kind = if told { "urn:x-sluicegate:problem:insufficient-scope" } else { "about:blank" };
        assert_eq!(problem["type"], kind, "{claims}");
        assert!(!response.text().contains("clerk"), "{}", response.text());
    }
    let claims = json!({"scope": "a orders.write orders.read", "role": "clerk"});
    assert_eq!(client.request(&request("GET", Some(&claims), "192.0.2.1")).await.status, 200);
    assert_eq!(origin.requests().len(), 1);
    let lines = gateway.access_log(6).await;
    assert_eq!(lines[0]["error"], "not authorised: scope:orders.write is missing");
    assert_eq!(lines[3]["error"], "not authorised: role:clerk is missing");
    assert_eq!((&lines[3]["subject"], &lines[3]["status"]), (&"alice".into(), &403.into()));
}

#[tokio::test]
async fn methods_and_networks_are_those_of_the_request_and_not_what_it_says_of_them() {
    let authorize = "{any: ['network:203.0.113.0/24', 'network:2001:db8::/32', {all: ['method:GET', 'network:192.0.2.0/24']}]}";
    let (gateway, _origin) = gateway(false, authorize).await;
    let mut client = gateway.connect().await;
    for (method, from, status) in [
        ("GET", "203.0.113.9", 200),
        ("DELETE", "203.0.113.9", 200),
        ("GET", "192.0.2.1", 200),
        ("DELETE", "192.0.2.1", 403),
        ("GET", "2001:db8::7", 200),
        ("GET", "198.51.100.1", 403),
        // What a client puts before its own address is hearsay.
        ("GET", "203.0.113.9, 198.51.100.1", 403),
        ("GET", "198.51.100.1, 203.0.113.9", 200),
        ("GET", "nobody", 403),
    ] {
        let request = request(method, Some(&json!({})), from);
        let request = request.replace(
            "\r\n\r\n",
            "\r\nX-HTTP-Method-Override: GET\r\nX-Real-IP: 203.0.113.9\r\n\r\n",
        );
        assert_eq!(client.request(&request).await.status, status, "{method} {from}");
    }
}

#[tokio::test]
async fn times_of_the_week_are_held_against_the_clock() {
    let always =
        "{all: [{times: {days: [mon, tue, wed, thu, fri, sat, sun], from: '00:00', to: '24:00'}}]}";
    passes(always, &[(json!({}), true)]).await;
    passes(&always.replace("all: ", "not: "), &[(json!({}), false)]).await;
    // Half a day from now, for an hour: it does not begin while this runs.
    let hour = (crate::support::now() / 3600 + 12) % 24;
    let later =
        format!("{{all: [{{times: {{from: '{hour:02}:00', to: '{:02}:00'}}}}]}}", (hour + 1) % 24);
    passes(&later, &[(json!({}), false)]).await;
}

#[tokio::test]
async fn nobody_has_a_role_and_nobody_lacks_one_where_it_is_not_known_who_is_asking() {
    for (authorize, anonymous, alice) in [
        ("{all: ['role:admin']}", 401, 403),
        ("{not: ['role:admin']}", 200, 200),
        ("{any: ['role:admin', 'method:GET']}", 200, 200),
        ("{all: [{claim: email, present: false}]}", 401, 200),
        // Who it is makes no difference here.
        ("{all: ['method:PUT']}", 403, 403),
        ("{not: ['way:jwt']}", 200, 403),
    ] {
        let (gateway, _origin) = gateway(true, authorize).await;
        let nobody = gateway.request(&request("GET", None, "192.0.2.1")).await;
        assert_eq!(nobody.status, anonymous, "{authorize}");
        let challenge = nobody.get("www-authenticate");
        assert_eq!(challenge.is_some(), anonymous == 401, "{authorize}: {challenge:?}");
        let known = gateway.request(&request("GET", Some(&json!({})), "192.0.2.1")).await;
        assert_eq!(known.status, alice, "{authorize}");
    }
}
